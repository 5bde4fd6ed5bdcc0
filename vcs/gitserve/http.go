package gitserve

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strings"
)

// The endpoints and content types of gitprotocol-http(5).
const (
	uploadPack  = "git-upload-pack"
	receivePack = "git-receive-pack"

	typeAdvertisement = "application/x-git-upload-pack-advertisement"
	typeRequest       = "application/x-git-upload-pack-request"
	typeResult        = "application/x-git-upload-pack-result"
)

const (
	textWriteOff = "This repository is read-only here: writing (git push) is off on this server."
	textDumb     = "This server speaks only Git's smart HTTP protocol; the dumb one is off. " +
		"Use git 1.6.6 or newer, without GIT_SMART_HTTP=0."
)

// ServeHTTP answers Git clients; to anything else at the repository's own
// address it says how to clone.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p, ok := strings.CutPrefix(path.Clean("/"+r.URL.Path), strings.TrimSuffix(h.cfg.Prefix, "/"))
	if !ok || p != "" && p[0] != '/' {
		h.reject(w, http.StatusNotFound, reasonPath, "There is no Git repository at this address.")
		return
	}
	switch p = strings.TrimPrefix(p, "/"); p {
	case "info/refs":
		h.infoRefs(w, r)
	case uploadPack:
		h.uploadPack(w, r)
	case receivePack:
		h.receivePack(w, r)
	case "":
		if h.allow(w, r, http.MethodGet, http.MethodHead) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			fmt.Fprintf(w, "This is a Git repository. To get a copy:\n\n    git clone http://%s%s\n",
				r.Host, strings.TrimSuffix(r.RequestURI, "/"))
		}
	default:
		if p == "HEAD" || strings.HasPrefix(p, "objects/") {
			h.reject(w, http.StatusForbidden, reasonDumb, textDumb)
			return
		}
		h.reject(w, http.StatusNotFound, reasonPath, "There is nothing at this address of the Git repository.")
	}
}

func (h *Handler) infoRefs(w http.ResponseWriter, r *http.Request) {
	if !h.allow(w, r, http.MethodGet, http.MethodHead) {
		return
	}
	push := false
	switch service := r.URL.Query().Get("service"); service {
	case uploadPack:
	case receivePack:
		push = true
		if _, ok := h.authorize(w, r); !ok {
			return
		}
	case "":
		h.reject(w, http.StatusForbidden, reasonDumb, textDumb)
		return
	default:
		h.reject(w, http.StatusForbidden, reasonService, fmt.Sprintf("Unsupported service: %.40q", service))
		return
	}
	version := protocolVersion(r)
	if !push && version < 2 {
		h.leases.give(h.cfg.Repository)
	}
	repo, release := h.pin()
	defer release()
	s, err := takeSnapshot(h.cfg.Repository)
	if err != nil {
		h.fail(w, err)
		return
	}
	out := newPktWriter(h.timed(w))
	switch {
	case push:
		startReply(w, typePushAdvertisement)
		err = h.advertisePush(out, s, version)
	case version == 2:
		startReply(w, typeAdvertisement)
		h.advertiseV2(out)
	default:
		startReply(w, typeAdvertisement)
		startV0(out, uploadPack, version)
		err = advertiseRefs(out, &cancelReader{r.Context(), repo}, s, v0Capabilities+" agent="+h.cfg.Agent)
	}
	if h.finish(r.Context(), out, err) {
		h.count(func(s *Stats) { s.Advertisements++ })
	}
}

// startV0 writes what precedes the refs in protocol v0 and v1.
func startV0(out *pktWriter, service string, version int) {
	out.linef("# service=%s\n", service)
	out.flush()
	if version == 1 {
		out.linef("version 1\n")
	}
}

// advertiseV2 writes gitprotocol-v2(5), "Capability Advertisement".
func (h *Handler) advertiseV2(out *pktWriter) {
	out.linef("version 2\n")
	out.linef("agent=%s\n", h.cfg.Agent)
	out.linef("ls-refs=unborn\n")
	out.linef("fetch=shallow wait-for-done filter\n")
	out.linef("server-option\n")
	out.linef("object-format=sha1\n")
	out.flush()
}

// protocolVersion reads the Git-Protocol header: a colon-separated list of
// keys, the highest known version of which counts.
func protocolVersion(r *http.Request) int {
	version := 0
	for _, header := range r.Header.Values("Git-Protocol") {
		for key := range strings.SplitSeq(header, ":") {
			switch key {
			case "version=1":
				version = max(version, 1)
			case "version=2":
				version = 2
			}
		}
	}
	return version
}

func (h *Handler) uploadPack(w http.ResponseWriter, r *http.Request) {
	if !h.allow(w, r, http.MethodPost) {
		return
	}
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != typeRequest {
		h.reject(w, http.StatusUnsupportedMediaType, reasonType,
			fmt.Sprintf("Unsupported content type: expected %s", typeRequest))
		return
	}
	body, err := h.body(r)
	if err != nil {
		h.reject(w, http.StatusUnsupportedMediaType, reasonEncoding, err.Error())
		return
	}
	in := &pktReader{r: body}
	if protocolVersion(r) == 2 {
		cmd, err := h.parseV2(in)
		if h.parsed(w, body, err) {
			h.answerV2(w, r, cmd)
		}
		return
	}
	args, caps, err := h.parseV0(in)
	if h.parsed(w, body, err) {
		h.answerV0(w, r, args, caps)
	}
}

// body undoes the request's content encoding; git compresses request bodies of
// more than a kilobyte.
func (h *Handler) body(r *http.Request) (*limitedBody, error) {
	var in io.Reader = r.Body
	switch enc := r.Header.Get("Content-Encoding"); enc {
	case "", "identity":
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, fmt.Errorf("the request body is not gzip data: %w", err)
		}
		in = z
	default:
		return nil, fmt.Errorf("unsupported content encoding %.40q: use gzip or none", enc)
	}
	return &limitedBody{r: in, left: h.cfg.MaxRequest, max: h.cfg.MaxRequest}, nil
}

// limitedBody is a request body that fails beyond its limit.
type limitedBody struct {
	r         io.Reader
	left, max int64
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, refuse(reasonLimit, "the request is longer than %d bytes", b.max)
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return 0, refuse(reasonLimit, "the request is longer than %d bytes", b.max)
	}
	return n, err
}

// parsed drains the body, so that the connection can be used again and a hang-up
// is noticed, and answers for a request that could not be read.
func (h *Handler) parsed(w http.ResponseWriter, body io.Reader, err error) bool {
	if err == nil {
		_, err = io.Copy(io.Discard, body)
	}
	if err == nil {
		return true
	}
	h.refuseRequest(w, typeResult, err)
	return false
}

// refuseRequest answers for a request that could not be read.
func (h *Handler) refuseRequest(w http.ResponseWriter, contentType string, err error) {
	re, ok := asRequestError(err)
	switch {
	case !ok:
		h.reject(w, http.StatusBadRequest, reasonFraming, "The request could not be read.")
	case re.reason == reasonFraming:
		h.reject(w, http.StatusBadRequest, re.reason, re.text)
	default:
		startReply(w, contentType)
		out := newPktWriter(h.timed(w))
		h.sendError(out, re)
	}
}

func (h *Handler) allow(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	for _, m := range methods {
		if r.Method == m {
			return true
		}
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	h.reject(w, http.StatusMethodNotAllowed, reasonMethod, "Use "+strings.Join(methods, " or ")+" here.")
	return false
}

// reject answers in plain text, which git shows to its user.
func (h *Handler) reject(w http.ResponseWriter, status int, reason, text string) {
	h.count(func(s *Stats) { s.Refused[reason]++ })
	w.Header().Set("Cache-Control", "no-cache, max-age=0, must-revalidate")
	http.Error(w, text, status)
}

func (h *Handler) fail(w http.ResponseWriter, err error) {
	h.count(func(s *Stats) { s.Failures++ })
	h.cfg.Logger.Error("git server: repository failed", "err", err)
	http.Error(w, "The repository cannot be read; the server's log says why.", http.StatusInternalServerError)
}

func startReply(w http.ResponseWriter, contentType string) {
	hdr := w.Header()
	hdr.Set("Content-Type", contentType)
	hdr.Set("Cache-Control", "no-cache, max-age=0, must-revalidate")
	hdr.Set("Pragma", "no-cache")
	hdr.Set("Expires", "Fri, 01 Jan 1980 00:00:00 GMT")
}

// sendError ends a reply with an ERR packet (gitprotocol-pack(5)).
func (h *Handler) sendError(out *pktWriter, re *requestError) {
	h.count(func(s *Stats) { s.Refused[re.reason]++ })
	out.linef("ERR %.1000s", re.text)
}

// finish settles a reply: it tells the client of err as long as there is a
// client, counts, and reports whether all was well.
func (h *Handler) finish(ctx context.Context, out *pktWriter, err error) bool {
	if err == nil && out.err == nil {
		return true
	}
	if ctx.Err() != nil || out.err != nil {
		h.count(func(s *Stats) { s.Hangups++ })
		return false
	}
	var re *requestError
	if errors.As(err, &re) {
		h.sendError(out, re)
		return false
	}
	h.count(func(s *Stats) { s.Failures++ })
	h.cfg.Logger.Error("git server: repository failed", "err", err)
	if !errors.Is(err, errPackBroken) {
		out.linef("ERR the repository cannot be read; the server's log says why")
	}
	return false
}

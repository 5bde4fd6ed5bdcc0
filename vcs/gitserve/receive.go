package gitserve

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

const (
	typePushAdvertisement = "application/x-git-receive-pack-advertisement"
	typePushRequest       = "application/x-git-receive-pack-request"
	typePushResult        = "application/x-git-receive-pack-result"
)

// authorize returns what the client may do, or answers for it that it may not.
func (h *Handler) authorize(w http.ResponseWriter, r *http.Request) (Grant, bool) {
	if h.cfg.Push == nil {
		h.reject(w, http.StatusForbidden, reasonWrite, textWriteOff)
		return Grant{}, false
	}
	g, err := h.cfg.Push.Authorize(r)
	switch {
	case err == nil:
		return g, true
	case errors.Is(err, ErrUnauthorized):
		w.Header().Set("WWW-Authenticate", `Basic realm="Git", charset="UTF-8"`)
		h.reject(w, http.StatusUnauthorized, reasonAuth, "Writing (git push) needs a token here: give it as the password.")
	default:
		h.reject(w, http.StatusForbidden, reasonAuth, err.Error())
	}
	return Grant{}, false
}

// advertisePush writes the refs that a push may name: neither HEAD nor peeled
// tags (gitprotocol-pack(5), "Reference Discovery").
func (h *Handler) advertisePush(out *pktWriter, s *refSnapshot, version int) error {
	startV0(out, receivePack, version)
	caps := "\x00" + pushCapabilities + " agent=" + h.cfg.Agent
	if len(s.refs) == 0 {
		out.linef("%040d capabilities^{}%s\n", 0, caps)
	}
	for _, r := range s.refs {
		out.linef("%v %s%s\n", r.Target, r.Name, caps)
		caps = ""
	}
	out.flush()
	return out.err
}

// receivePack takes in one push.
func (h *Handler) receivePack(w http.ResponseWriter, r *http.Request) {
	if h.cfg.Push == nil {
		h.reject(w, http.StatusForbidden, reasonWrite, textWriteOff)
		return
	}
	if !h.allow(w, r, http.MethodPost) {
		return
	}
	grant, ok := h.authorize(w, r)
	if !ok {
		return
	}
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != typePushRequest {
		h.reject(w, http.StatusUnsupportedMediaType, reasonType,
			fmt.Sprintf("Unsupported content type: expected %s", typePushRequest))
		return
	}
	in := &timedBody{ReadCloser: r.Body, ctl: http.NewResponseController(w), timeout: h.cfg.Push.ReadTimeout}
	r.Body = in
	body, err := h.body(r)
	if err != nil {
		h.reject(w, http.StatusUnsupportedMediaType, reasonEncoding, err.Error())
		return
	}
	sent := pushBody{body}
	args, err := h.parsePush(&pktReader{r: sent})
	if err != nil {
		in.drain(w, body)
		h.refusePush(w, args, err)
		return
	}
	if len(args.updates) == 0 {
		in.drain(w, body)
		startReply(w, typePushResult)
		return
	}
	// Index has the word about the pack's length.
	body.left = h.cfg.Push.Limits.PackBytes + 64<<10
	body.max = body.left
	p := &push{h: h, ctx: r.Context(), args: args, grant: grant}
	err = withSlot(r.Context(), h.takes, func() error { return p.run(sent) })
	in.drain(w, body)
	if err != nil {
		h.count(func(s *Stats) { s.Hangups++ })
		return
	}
	startReply(w, typePushResult)
	out := newPktWriter(h.timed(w))
	p.report(out)
	h.finish(r.Context(), out, nil)
}

// refusePush answers for a push that could not be read, where the client looks.
func (h *Handler) refusePush(w http.ResponseWriter, args *pushArgs, err error) {
	re, ok := asRequestError(err)
	if !ok || !args.sideband {
		h.refuseRequest(w, typePushResult, err)
		return
	}
	h.count(func(s *Stats) { s.Refused[re.reason]++ })
	startReply(w, typePushResult)
	out := newPktWriter(h.timed(w))
	out.band(3, []byte(firstLine(re.text)+"\n"))
	out.flush()
}

// timedBody is a request body each read of which must be done in time.
type timedBody struct {
	io.ReadCloser
	ctl     *http.ResponseController
	timeout time.Duration
	err     error // of a Read; there is no other after it
}

// Read implements io.Reader.
func (b *timedBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	// Not every ResponseWriter has deadlines; then the http.Server's rule.
	_ = b.ctl.SetReadDeadline(time.Now().Add(b.timeout))
	n, err := b.ReadCloser.Read(p)
	b.err = err
	if errors.Is(err, io.EOF) {
		// From now on the server watches the connection for a hang-up, however
		// long the push takes to check.
		_ = b.ctl.SetReadDeadline(time.Time{})
	}
	return n, err
}

// pushBody tells a client's body that cannot be read from failures of the
// repository.
type pushBody struct{ *limitedBody }

// Read implements io.Reader.
func (b pushBody) Read(p []byte) (int, error) {
	n, err := b.limitedBody.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		if _, ok := asRequestError(err); !ok {
			err = refuse(reasonFraming, "the push could not be read: %v", err)
		}
	}
	return n, err
}

// drain reads on to the end of a refused request, so that its client, which
// reads nothing before it has sent everything, sees the answer. A client that
// sends much more than was allowed is cut off.
func (b *timedBody) drain(w http.ResponseWriter, body *limitedBody) {
	end := time.Now().Add(b.timeout)
	var left int64 = 256<<20 + 2*body.max
	for buf := make([]byte, 32<<10); left >= 0 && time.Now().Before(end); {
		n, err := b.Read(buf)
		left -= int64(n)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			break
		}
	}
	w.Header().Set("Connection", "close") // lest net/http read on
}

// firstLine makes text fit for one line of a report.
func firstLine(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	return fmt.Sprintf("%.400s", text)
}

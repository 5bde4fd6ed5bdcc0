package site

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Values of Cache-Control (RFC 9111 §5.2.2, RFC 8246).
const (
	cacheRevalidate = "no-cache"
	cacheForever    = "public, max-age=31536000, immutable"
)

// baseHeader returns the fields of every response, with extra's in place of ours.
func baseHeader(extra http.Header) http.Header {
	h := http.Header{
		"X-Content-Type-Options": {"nosniff"},
		"X-Frame-Options":        {"SAMEORIGIN"},
		"Referrer-Policy":        {"strict-origin-when-cross-origin"},
	}
	for k, v := range extra {
		k = http.CanonicalHeaderKey(k)
		if len(v) == 0 || len(v) == 1 && v[0] == "" {
			delete(h, k)
			continue
		}
		h[k] = v
	}
	return h
}

// sendFile sends the best representation of a regular file.
func (h *Handler) sendFile(w http.ResponseWriter, r *http.Request, name string, fi fs.FileInfo) {
	vs := h.variants(name, fi)
	v := negotiate(vs, r.Header.Values("Accept-Encoding"))
	f, err := open(h.fs, v.name)
	if err != nil {
		h.failError(w, r, v.name, err)
		return
	}
	defer f.Close()
	if fi, err = f.Stat(); err != nil { // the file may have been replaced since
		h.failError(w, r, v.name, err)
		return
	}
	now := time.Now()
	tag, err := h.tags.get(v.name, v.coding.token, f, f.Stat, fi, now)
	if err != nil {
		h.failError(w, r, v.name, err)
		return
	}

	hdr := w.Header()
	t := typeOf(name)
	hdr.Set("Content-Type", t.name)
	hdr.Set("Cache-Control", h.cacheControl(name, t))
	if len(vs) > 1 {
		hdr.Set("Vary", "Accept-Encoding")
	}
	if v.coding.token != "" {
		hdr.Set("Content-Encoding", v.coding.token)
	}
	if tag != "" {
		hdr.Set("ETag", tag)
	}
	mtime := fi.ModTime()
	if !known(mtime) || now.Sub(mtime) < racyWindow {
		// RFC 9110 §8.8.2.1: never later than now. A time this fresh is also no
		// strong validator (§8.8.2.2), and If-Range wants one.
		mtime = time.Time{}
	}
	http.ServeContent(&contentWriter{ResponseWriter: w, size: fi.Size()}, soundRange(r), name, mtime, f)
}

func (h *Handler) cacheControl(name string, t mediaType) string {
	switch {
	case t.isPage() || h.maxAge < 0:
		return cacheRevalidate
	case h.immutable(name):
		return cacheForever
	}
	return "public, max-age=" + strconv.Itoa(int(h.maxAge/time.Second))
}

// contentWriter mends what http.ServeContent leaves to its caller: the length of
// an encoded file, and the fields of a file that do not belong to an error.
type contentWriter struct {
	http.ResponseWriter
	size int64
}

func (w *contentWriter) WriteHeader(code int) {
	h := w.Header()
	switch code {
	case http.StatusOK:
		h.Set("Content-Length", strconv.FormatInt(w.size, 10))
	case http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable:
		for _, k := range []string{"Content-Encoding", "Content-Length", "Last-Modified", "ETag"} {
			h.Del(k)
		}
		h.Set("Cache-Control", cacheRevalidate)
		if code == http.StatusPreconditionFailed {
			h.Del("Content-Type")
		}
	}
	w.ResponseWriter.WriteHeader(code)
}

// ReadFrom lets the server pass a file on without a copy in between.
func (w *contentWriter) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(w.ResponseWriter, r)
}

// Unwrap serves http.ResponseController.
func (w *contentWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// maxRanges is how many parts one response may have. RFC 9110 §14.2 lets a
// server ignore a request for more: it costs headers a hundred times the size
// of the data.
const maxRanges = 16

// soundRange returns r without a Range field that must or should be ignored
// (RFC 9110 §14.2): on any method but GET, in a unit that is not bytes, with a
// set of ranges that is not well formed, or with too many of them.
func soundRange(r *http.Request) *http.Request {
	values := r.Header.Values("Range")
	if len(values) == 0 {
		return r
	}
	unit, set, _ := strings.Cut(values[0], "=")
	if r.Method == http.MethodGet && len(values) == 1 && strings.EqualFold(unit, "bytes") && soundSet(set) {
		if unit == "bytes" {
			return r
		}
		return withHeader(r, "Range", "bytes="+set)
	}
	return withHeader(r, "Range", "")
}

// soundSet reports whether s is a range-set of byte ranges (RFC 9110 §14.1.2)
// of reasonable length.
func soundSet(s string) bool {
	n := 0
	for spec := range strings.SplitSeq(s, ",") {
		spec = strings.Trim(spec, " \t")
		if spec == "" {
			continue
		}
		first, last, ok := strings.Cut(spec, "-")
		if !ok || first+last == "" || !digits(first) || !digits(last) {
			return false
		}
		if first != "" && last != "" {
			a, errA := strconv.ParseInt(first, 10, 64)
			b, errB := strconv.ParseInt(last, 10, 64)
			if errA != nil || errB != nil || a > b {
				return false
			}
		}
		n++
	}
	return 0 < n && n <= maxRanges
}

func digits(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}

// withHeader returns a shallow copy of r with one field replaced, or removed
// when value is empty.
func withHeader(r *http.Request, key, value string) *http.Request {
	c := *r
	c.Header = maps.Clone(r.Header)
	if value == "" {
		c.Header.Del(key)
	} else {
		c.Header.Set(key, value)
	}
	return &c
}

// failError answers for a file that could not be opened or read.
func (h *Handler) failError(w http.ResponseWriter, r *http.Request, name string, err error) {
	switch {
	case missing(err):
		h.sendNotFound(w, r)
	case errors.Is(err, fs.ErrPermission):
		h.log.Warn("the site holds a file that may not be read: change its mode", "file", name, "err", err)
		h.fail(w, r, http.StatusForbidden)
	default:
		h.log.Error("the site cannot be read", "file", name, "err", err)
		h.fail(w, r, http.StatusInternalServerError)
	}
}

// missing reports whether err means that there is no such file, which a path
// through a file, a circle of symbolic links and a name of impossible length
// say in their own ways.
func missing(err error) bool {
	for _, target := range []error{fs.ErrNotExist, fs.ErrInvalid, syscall.ENOTDIR, syscall.ELOOP, syscall.ENAMETOOLONG} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

package site

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"time"
)

// Config describes a static site. Its zero value serves the embedded site.
type Config struct {
	// FS holds the site; nil means Default(). Its files may change while they
	// are served if they have modification times; a file without one (an
	// embedded file) is taken never to change. Use OpenDir for a directory.
	FS fs.FS
	// Index is the name of a directory's page; empty means index.html.
	Index string
	// NotFound is the name of the page sent with status 404; empty means
	// 404.html. A site that lacks it gets a built-in page.
	NotFound string
	// MaxAge is how long a browser may use a file without asking again, for
	// files that are neither pages nor fingerprinted; zero means one hour and
	// a negative value means ask every time.
	MaxAge time.Duration
	// Immutable reports whether a name changes whenever its content does, so
	// that browsers may keep the file for ever; nil means Fingerprinted.
	Immutable func(name string) bool
	// Header holds fields for every response. They replace the defaults of the
	// same name; an empty value removes one.
	Header http.Header
	// Logger gets failures to read the site; nil discards.
	Logger *slog.Logger
}

// allow lists the methods of a static site (RFC 9110 §10.2.1).
const allow = "GET, HEAD, OPTIONS"

// Handler is a static site. It is safe for concurrent use.
type Handler struct {
	fs        fs.FS
	index     string
	notFound  string
	maxAge    time.Duration
	immutable func(string) bool
	header    http.Header
	log       *slog.Logger
	tags      tagCache
}

// New returns a handler for the site in cfg. It fails when the root of the site
// cannot be read; a site without an index page is served, with a warning in the
// log.
func New(cfg Config) (*Handler, error) {
	h := &Handler{
		fs:        cfg.FS,
		index:     cfg.Index,
		notFound:  cfg.NotFound,
		maxAge:    cfg.MaxAge,
		immutable: cfg.Immutable,
		header:    baseHeader(cfg.Header),
		log:       cfg.Logger,
	}
	if h.fs == nil {
		h.fs = Default()
	}
	if h.index == "" {
		h.index = "index.html"
	}
	if h.notFound == "" {
		h.notFound = "404.html"
	}
	if h.maxAge == 0 {
		h.maxAge = time.Hour
	}
	if h.immutable == nil {
		h.immutable = Fingerprinted
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	for _, name := range []string{h.index, h.notFound} {
		if !fs.ValidPath(name) || path.Base(name) != name {
			return nil, fmt.Errorf("site: %q cannot be a page's name: give a file name without a folder", name)
		}
	}
	fi, err := fs.Stat(h.fs, ".")
	if err != nil {
		return nil, fmt.Errorf("site: the root of the site cannot be read: %w", err)
	}
	if !fi.IsDir() {
		return nil, errors.New("site: the root of the site is not a directory")
	}
	if _, err := fs.Stat(h.fs, h.index); err != nil {
		h.log.Warn("the site has no front page; / will answer 404", "want", h.index)
	}
	return h, nil
}

// ServeHTTP answers GET, HEAD and OPTIONS.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for k, v := range h.header {
		w.Header()[k] = v
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		w.Header().Set("Allow", allow)
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		w.Header().Set("Allow", allow)
		h.fail(w, r, http.StatusMethodNotAllowed)
		return
	}
	name, err := fileName(r.URL.Path)
	switch {
	case errors.Is(err, errBadPath):
		h.fail(w, r, http.StatusBadRequest)
		return
	case err != nil:
		h.sendNotFound(w, r)
		return
	}
	h.serveName(w, r, name, r.URL.Path[len(r.URL.Path)-1] == '/')
}

// serveName sends the file name, or the index page when name is a directory.
func (h *Handler) serveName(w http.ResponseWriter, r *http.Request, name string, slash bool) {
	fi, err := fs.Stat(h.fs, name)
	if err != nil {
		h.failError(w, r, name, err)
		return
	}
	if !fi.IsDir() {
		if slash || !fi.Mode().IsRegular() {
			h.sendNotFound(w, r)
			return
		}
		h.sendFile(w, r, name, fi)
		return
	}
	index := path.Join(name, h.index)
	fi, err = fs.Stat(h.fs, index)
	if err == nil && !fi.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		h.failError(w, r, index, err)
		return
	}
	if !slash {
		redirectToFolder(w, r, path.Base(name))
		return
	}
	h.sendFile(w, r, index, fi)
}

// redirectToFolder adds the slash without which the page's relative links would
// miss. The location is relative, so that neither a proxy's prefix nor a path
// such as //elsewhere.example can lead it astray.
func redirectToFolder(w http.ResponseWriter, r *http.Request, base string) {
	loc := "./" + (&url.URL{Path: base}).EscapedPath() + "/"
	if r.URL.RawQuery != "" {
		loc += "?" + r.URL.RawQuery
	}
	w.Header().Set("Location", loc)
	w.Header().Set("Cache-Control", cacheRevalidate)
	w.WriteHeader(http.StatusMovedPermanently)
}

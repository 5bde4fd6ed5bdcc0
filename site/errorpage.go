package site

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// sendNotFound sends the site's 404 page, or the built-in one.
func (h *Handler) sendNotFound(w http.ResponseWriter, r *http.Request) {
	f, err := open(h.fs, h.notFound)
	if err != nil {
		h.fail(w, r, http.StatusNotFound)
		return
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil || !fi.Mode().IsRegular() {
		h.fail(w, r, http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", typeOf(h.notFound).name)
	w.Header().Set("Content-Length", strconv.FormatInt(fi.Size(), 10))
	w.Header().Set("Cache-Control", cacheRevalidate)
	w.WriteHeader(http.StatusNotFound)
	if r.Method != http.MethodHead {
		if _, err := io.CopyN(w, f, fi.Size()); err != nil {
			h.log.Debug("the 404 page was cut short", "err", err)
		}
	}
}

// errorPage needs a status code, its text twice, and a sentence. It contains
// nothing that came from the request.
const errorPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>%d %s</title>
<style>body{font:1.1rem/1.6 system-ui,sans-serif;max-width:34rem;margin:18vh auto 0;padding:0 1.5rem}</style>
<h1>%[2]s</h1>
<p>%[3]s</p>
`

// fail sends the built-in page for an error status.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, code int) {
	var why string
	switch code {
	case http.StatusBadRequest:
		why = "No page can have this address."
	case http.StatusForbidden:
		why = "The file exists, but the server may not read it."
	case http.StatusNotFound:
		why = "There is nothing at this address. The <a href=\"/\">front page</a> may lead to it."
	case http.StatusMethodNotAllowed:
		why = "A static site can only be read: " + allow + "."
	default:
		why = "The server could not read the file. Its log says more."
	}
	body := fmt.Sprintf(errorPage, code, http.StatusText(code), why)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("Cache-Control", cacheRevalidate)
	w.WriteHeader(code)
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, body) // the client has gone; the server notices by itself
	}
}

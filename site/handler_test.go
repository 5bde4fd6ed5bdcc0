package site_test

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"arpeggio/site"
)

var mtime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const mtimeHTTP = "Sun, 01 Mar 2026 12:00:00 GMT"

func file(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s), ModTime: mtime} }

// testSite has one of everything.
func testSite() fstest.MapFS {
	return fstest.MapFS{
		"index.html":            file("<h1>home</h1>"),
		"404.html":              file("<h1>lost</h1>"),
		"docs/index.html":       file("<h1>docs</h1>"),
		"bare/file.txt":         file("0123456789"),
		"a b:c/index.html":      file("odd"),
		"app.js":                file("identity of app"),
		"app.js.br":             file("br of app"),
		"app.js.gz":             file("gzip of app"),
		"app.js.zst":            file("zstd of app"),
		"one.css":               file("identity of one"),
		"one.css.gz":            file("gzip of one"),
		"empty.txt":             file(""),
		"logo-3f9a2c81.svg":     file("<svg/>"),
		"photo.jpg":             file("jpg"),
		"photo.jpg.gz":          file("gzip of jpg"),
		"LICENSE":               file("do as you like"),
		".git/config":           file("secret"),
		".htpasswd":             file("secret"),
		"docs/.draft.html":      file("secret"),
		".well-known/probe.txt": file("well known"),
		"eternal.txt":           {Data: []byte("no time")},
		"epoch.txt":             {Data: []byte("epoch"), ModTime: time.Unix(0, 0)},
	}
}

func newSite(t testing.TB, cfg site.Config) *site.Handler {
	t.Helper()
	h, err := site.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// ask sends one request; header holds "Name: value" lines.
func ask(h http.Handler, method, target string, header ...string) *http.Response {
	r := httptest.NewRequest(method, "/", nil)
	r.URL.Path, r.URL.RawQuery, _ = strings.Cut(target, "?")
	for _, l := range header {
		k, v, _ := strings.Cut(l, ": ")
		r.Header.Add(k, v)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t testing.TB, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func blobID(s string) string {
	h := sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(s), s))
	return hex.EncodeToString(h[:])
}

func TestNames(t *testing.T) {
	h := newSite(t, site.Config{FS: testSite()})
	tests := []struct {
		path string
		code int
		want string // the body, or the Location of a redirect
	}{
		{"/", 200, "<h1>home</h1>"},
		{"/index.html", 200, "<h1>home</h1>"},
		{"/docs/", 200, "<h1>docs</h1>"},
		{"/docs", 301, "./docs/"},
		{"/docs?q=1&r=//x", 301, "./docs/?q=1&r=//x"},
		{"/a b:c", 301, "./a%20b:c/"},
		{"/bare/file.txt", 200, "0123456789"},
		{"/.well-known/probe.txt", 200, "well known"},
		{"/bare", 404, "<h1>lost</h1>"},  // no index: no redirect, no listing
		{"/bare/", 404, "<h1>lost</h1>"}, // and no hint that the folder exists
		{"/bare/file.txt/", 404, "<h1>lost</h1>"},
		{"/bare/file.txt/x", 404, "<h1>lost</h1>"},
		{"/nothing", 404, "<h1>lost</h1>"},
		{"/.git/config", 404, "<h1>lost</h1>"},
		{"/.htpasswd", 404, "<h1>lost</h1>"},
		{"/docs/.draft.html", 404, "<h1>lost</h1>"},
		{"/docs/.well-known/x", 404, "<h1>lost</h1>"},
		{"//docs", 404, "<h1>lost</h1>"},
		{"//docs/", 404, "<h1>lost</h1>"},
		{"//", 404, "<h1>lost</h1>"},
		{"/docs//", 404, "<h1>lost</h1>"},
		{"/\xff\xfe", 404, "<h1>lost</h1>"},
		{"/..", 400, ""},
		{"/../etc/passwd", 400, ""},
		{"/docs/../index.html", 400, ""},
		{"/docs/.", 400, ""},
		{"/docs\\..\\index.html", 400, ""},
		{"/index.html\x00.txt", 400, ""},
		{"/index.html\r\nX: y", 400, ""},
		{"docs", 400, ""},
		{"", 400, ""},
	}
	for _, tc := range tests {
		t.Run(fmt.Sprintf("%q", tc.path), func(t *testing.T) {
			res := ask(h, "GET", tc.path)
			got := body(t, res)
			if res.StatusCode != tc.code {
				t.Fatalf("status %d, want %d", res.StatusCode, tc.code)
			}
			if tc.code == 301 {
				got = res.Header.Get("Location")
			}
			if tc.code != 400 && got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// The escapes of RFC 3986 are decoded by net/http before the handler sees them.
func TestEscapedNames(t *testing.T) {
	h := newSite(t, site.Config{FS: testSite()})
	for target, code := range map[string]int{
		"/%2e%2e/etc/passwd":     400,
		"/docs%2findex.html":     200,
		"/docs/%2e%2e%2f404":     400,
		"/%2egit/config":         404,
		"/index.html%00":         400,
		"/docs%5c..%5cx":         400,
		"/a%20b:c/":              200,
		"/..%c0%af..%c0%afpass":  404,
		"/%252e%252e/index.html": 404,
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
		if w.Code != code {
			t.Errorf("%s: status %d, want %d", target, w.Code, code)
		}
	}
}

func TestMethods(t *testing.T) {
	h := newSite(t, site.Config{FS: testSite()})
	for _, tc := range []struct {
		method string
		code   int
		length string
	}{
		{"GET", 200, "13"},
		{"HEAD", 200, "13"},
		{"OPTIONS", 204, ""},
		{"POST", 405, ""}, {"PUT", 405, ""}, {"DELETE", 405, ""}, {"PATCH", 405, ""}, {"TRACE", 405, ""}, {"BREW", 405, ""},
	} {
		res := ask(h, tc.method, "/")
		if res.StatusCode != tc.code {
			t.Errorf("%s: status %d, want %d", tc.method, res.StatusCode, tc.code)
		}
		if tc.length != "" && res.Header.Get("Content-Length") != tc.length {
			t.Errorf("%s: Content-Length %q, want %s", tc.method, res.Header.Get("Content-Length"), tc.length)
		}
		wantAllow := "GET, HEAD, OPTIONS"
		if tc.code == 200 {
			wantAllow = ""
		}
		if got := res.Header.Get("Allow"); got != wantAllow {
			t.Errorf("%s: Allow %q, want %q", tc.method, got, wantAllow)
		}
		if b := body(t, res); tc.method == "HEAD" && b != "" {
			t.Errorf("HEAD has a body: %q", b)
		}
	}
	res := ask(h, "HEAD", "/nothing")
	if b := body(t, res); res.StatusCode != 404 || b != "" || res.Header.Get("Content-Length") != "13" {
		t.Errorf("HEAD of a missing page: %d %q, Content-Length %q", res.StatusCode, b, res.Header.Get("Content-Length"))
	}
}

// Every field of a plain answer, so that a new or lost one is noticed.
func TestHeaderFields(t *testing.T) {
	h := newSite(t, site.Config{FS: testSite()})
	res := ask(h, "GET", "/bare/file.txt")
	want := http.Header{
		"Accept-Ranges":          {"bytes"},
		"Cache-Control":          {"public, max-age=3600"},
		"Content-Length":         {"10"},
		"Content-Type":           {"text/plain; charset=utf-8"},
		"Etag":                   {`"` + blobID("0123456789") + `"`},
		"Last-Modified":          {mtimeHTTP},
		"Referrer-Policy":        {"strict-origin-when-cross-origin"},
		"X-Content-Type-Options": {"nosniff"},
		"X-Frame-Options":        {"SAMEORIGIN"},
	}
	if fmt.Sprint(res.Header) != fmt.Sprint(want) {
		t.Errorf("header\n got %v\nwant %v", res.Header, want)
	}
}

func TestConfigHeader(t *testing.T) {
	h := newSite(t, site.Config{FS: testSite(), Header: http.Header{"x-frame-options": {""}, "Server": {"arpeggio"}}})
	res := ask(h, "GET", "/nothing")
	if res.Header.Get("Server") != "arpeggio" || res.Header.Values("X-Frame-Options") != nil {
		t.Errorf("header %v", res.Header)
	}
}

func TestContentTypesAndCaching(t *testing.T) {
	m := fstest.MapFS{"index.html": file("x")}
	tests := []struct{ name, ctype, cache string }{
		{"a.html", "text/html; charset=utf-8", "no-cache"},
		{"a.HTM", "text/html; charset=utf-8", "no-cache"},
		{"a.css", "text/css; charset=utf-8", "public, max-age=3600"},
		{"a.mjs", "text/javascript; charset=utf-8", "public, max-age=3600"},
		{"a.svg", "image/svg+xml", "public, max-age=3600"},
		{"a.woff2", "font/woff2", "public, max-age=3600"},
		{"a.wasm", "application/wasm", "public, max-age=3600"},
		{"a.css.gz", "application/gzip", "public, max-age=3600"},
		{"noext", "application/octet-stream", "public, max-age=3600"},
		{"a.exe", "application/octet-stream", "public, max-age=3600"},
		{"app.3f9a2c81.js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		{"app-0123456789abcdef.css", "text/css; charset=utf-8", "public, max-age=31536000, immutable"},
		{"report-20260301.svg", "image/svg+xml", "public, max-age=3600"},         // a date
		{"cafe-deadbeef.png", "image/png", "public, max-age=3600"},               // a word
		{"page.3f9a2c81.html", "text/html; charset=utf-8", "no-cache"},           // a page
		{"data.3f9a2c81.csv", "text/csv; charset=utf-8", "public, max-age=3600"}, // not part of a page
		{"3f9a2c81.js", "text/javascript; charset=utf-8", "public, max-age=3600"},
	}
	for _, tc := range tests {
		m[tc.name] = file("x")
	}
	h := newSite(t, site.Config{FS: m})
	for _, tc := range tests {
		res := ask(h, "GET", "/"+tc.name)
		if got := res.Header.Get("Content-Type"); got != tc.ctype {
			t.Errorf("%s: Content-Type %q, want %q", tc.name, got, tc.ctype)
		}
		if got := res.Header.Get("Cache-Control"); got != tc.cache {
			t.Errorf("%s: Cache-Control %q, want %q", tc.name, got, tc.cache)
		}
	}
	h = newSite(t, site.Config{FS: m, MaxAge: -1, Immutable: func(string) bool { return true }})
	if got := ask(h, "GET", "/a.css").Header.Get("Cache-Control"); got != "no-cache" {
		t.Errorf("negative MaxAge: Cache-Control %q", got)
	}
}

func TestFilesWithoutTime(t *testing.T) {
	h := newSite(t, site.Config{FS: testSite()})
	for _, p := range []string{"/eternal.txt", "/epoch.txt"} {
		res := ask(h, "GET", p)
		if res.Header.Get("Last-Modified") != "" || res.Header.Get("ETag") == "" {
			t.Errorf("%s: Last-Modified %q, ETag %q", p, res.Header.Get("Last-Modified"), res.Header.Get("ETag"))
		}
	}
}

func TestBuiltInNotFound(t *testing.T) {
	h := newSite(t, site.Config{FS: fstest.MapFS{"index.html": file("x")}})
	res := ask(h, "GET", "/<script>")
	b := body(t, res)
	if res.StatusCode != 404 || !strings.Contains(b, "Not Found") || strings.Contains(b, "<script>") {
		t.Errorf("%d %s", res.StatusCode, b)
	}
	if res.Header.Get("Content-Length") != fmt.Sprint(len(b)) || res.Header.Get("ETag") != "" {
		t.Errorf("%v", res.Header)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, cfg := range []site.Config{
		{FS: fstest.MapFS{}, Index: "a/b.html"},
		{FS: fstest.MapFS{}, NotFound: "../404.html"},
		{FS: failFS{fs.ErrPermission}},
	} {
		if _, err := site.New(cfg); err == nil || !strings.HasPrefix(err.Error(), "site: ") {
			t.Errorf("New(%+v) = %v", cfg, err)
		}
	}
}

type failFS struct{ err error }

func (f failFS) Open(string) (fs.File, error) { return nil, f.err }

// brokenFS fails for one name after New has looked at the root.
type brokenFS struct {
	fstest.MapFS
	err error
}

func (f brokenFS) Stat(name string) (fs.FileInfo, error) {
	if name == "broken.txt" {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: f.err}
	}
	return f.MapFS.Stat(name)
}

func TestUnreadable(t *testing.T) {
	for err, code := range map[error]int{
		fs.ErrPermission: 403, fs.ErrNotExist: 404, fs.ErrInvalid: 404, io.ErrUnexpectedEOF: 500,
	} {
		h := newSite(t, site.Config{FS: brokenFS{testSite(), err}})
		if res := ask(h, "GET", "/broken.txt"); res.StatusCode != code {
			t.Errorf("%v: status %d, want %d", err, res.StatusCode, code)
		}
	}
}

package site_test

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
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

func TestRanges(t *testing.T) {
	h := newSite(t, site.Config{FS: testSite()})
	etag := `"` + blobID("0123456789") + `"`
	many := "Range: bytes=0-0" + strings.Repeat(",2-2", 16)
	tests := []struct {
		name   string
		header []string
		code   int
		body   string
		crange string
	}{
		{"first", []string{"Range: bytes=0-3"}, 206, "0123", "bytes 0-3/10"},
		{"open end", []string{"Range: bytes=7-"}, 206, "789", "bytes 7-9/10"},
		{"suffix", []string{"Range: bytes=-2"}, 206, "89", "bytes 8-9/10"},
		{"long suffix", []string{"Range: bytes=-99"}, 206, "0123456789", "bytes 0-9/10"},
		{"past the end is cut", []string{"Range: bytes=8-99"}, 206, "89", "bytes 8-9/10"},
		{"unit in capitals (RFC 9110 §14.1)", []string{"Range: BYTES=0-0"}, 206, "0", "bytes 0-0/10"},
		{"unsatisfiable", []string{"Range: bytes=10-"}, 416, "", "bytes */10"},
		{"unknown unit", []string{"Range: lines=0-3"}, 200, "0123456789", ""},
		{"backwards", []string{"Range: bytes=3-1"}, 200, "0123456789", ""},
		{"nonsense", []string{"Range: bytes=a-b"}, 200, "0123456789", ""},
		{"no dash", []string{"Range: bytes=5"}, 200, "0123456789", ""},
		{"too long a number", []string{"Range: bytes=0-99999999999999999999"}, 200, "0123456789", ""},
		{"nothing", []string{"Range: bytes="}, 200, "0123456789", ""},
		{"too many", []string{many}, 200, "0123456789", ""},
		{"If-Range matches", []string{"Range: bytes=0-0", "If-Range: " + etag}, 206, "0", "bytes 0-0/10"},
		{"If-Range is weak", []string{"Range: bytes=0-0", "If-Range: W/" + etag}, 200, "0123456789", ""},
		{"If-Range differs", []string{"Range: bytes=0-0", `If-Range: "x"`}, 200, "0123456789", ""},
		{"If-Range date", []string{"Range: bytes=0-0", "If-Range: " + mtimeHTTP}, 206, "0", "bytes 0-0/10"},
		{"If-Range other date", []string{"Range: bytes=0-0", "If-Range: Mon, 02 Mar 2026 12:00:00 GMT"}, 200, "0123456789", ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			res := ask(h, "GET", "/bare/file.txt", tc.header...)
			got := body(t, res)
			if res.StatusCode != tc.code || res.Header.Get("Content-Range") != tc.crange {
				t.Fatalf("status %d, Content-Range %q", res.StatusCode, res.Header.Get("Content-Range"))
			}
			if tc.code != 416 && (got != tc.body || res.Header.Get("Content-Length") != fmt.Sprint(len(tc.body))) {
				t.Errorf("body %q, Content-Length %s", got, res.Header.Get("Content-Length"))
			}
			if tc.code == 416 && (res.Header.Get("ETag") != "" || res.Header.Get("Cache-Control") != "no-cache") {
				t.Errorf("a 416 carries the file's fields: %v", res.Header)
			}
		})
	}
	t.Run("HEAD ignores Range (RFC 9110 §14.2)", func(t *testing.T) {
		res := ask(h, "HEAD", "/bare/file.txt", "Range: bytes=0-3")
		if res.StatusCode != 200 || res.Header.Get("Content-Length") != "10" {
			t.Errorf("status %d, Content-Length %s", res.StatusCode, res.Header.Get("Content-Length"))
		}
	})
	t.Run("empty file", func(t *testing.T) {
		if res := ask(h, "GET", "/empty.txt", "Range: bytes=0-3"); res.StatusCode != 200 {
			t.Errorf("status %d", res.StatusCode)
		}
	})
	t.Run("several parts", func(t *testing.T) {
		res := ask(h, "GET", "/bare/file.txt", "Range: bytes=0-1, 8-")
		mt, params, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
		if res.StatusCode != 206 || err != nil || mt != "multipart/byteranges" {
			t.Fatalf("status %d, type %q", res.StatusCode, res.Header.Get("Content-Type"))
		}
		mr := multipart.NewReader(res.Body, params["boundary"])
		for _, want := range []struct{ r, b string }{{"bytes 0-1/10", "01"}, {"bytes 8-9/10", "89"}} {
			p, err := mr.NextPart()
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(p)
			if p.Header.Get("Content-Range") != want.r || string(b) != want.b || p.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
				t.Errorf("part %v %q, want %v", p.Header, b, want)
			}
		}
		if _, err := mr.NextPart(); err != io.EOF {
			t.Errorf("a third part: %v", err)
		}
	})
}

func TestConditions(t *testing.T) {
	h := newSite(t, site.Config{FS: testSite()})
	etag := `"` + blobID("0123456789") + `"`
	const before, after = "Sat, 28 Feb 2026 12:00:00 GMT", "Mon, 02 Mar 2026 12:00:00 GMT"
	tests := []struct {
		name   string
		header []string
		code   int
	}{
		{"If-None-Match same", []string{"If-None-Match: " + etag}, 304},
		{"If-None-Match weak same", []string{"If-None-Match: W/" + etag}, 304},
		{"If-None-Match in a list", []string{`If-None-Match: "x", ` + etag}, 304},
		{"If-None-Match any", []string{"If-None-Match: *"}, 304},
		{"If-None-Match other", []string{`If-None-Match: "x"`}, 200},
		{"If-Modified-Since same", []string{"If-Modified-Since: " + mtimeHTTP}, 304},
		{"If-Modified-Since later", []string{"If-Modified-Since: " + after}, 304},
		{"If-Modified-Since earlier", []string{"If-Modified-Since: " + before}, 200},
		{"If-Modified-Since nonsense", []string{"If-Modified-Since: yesterday"}, 200},
		{"If-None-Match wins (RFC 9110 §13.1.3)", []string{`If-None-Match: "x"`, "If-Modified-Since: " + after}, 200},
		{"If-Match same", []string{"If-Match: " + etag}, 200},
		{"If-Match weak", []string{"If-Match: W/" + etag}, 412},
		{"If-Match other", []string{`If-Match: "x"`}, 412},
		{"If-Match any", []string{"If-Match: *"}, 200},
		{"If-Unmodified-Since earlier", []string{"If-Unmodified-Since: " + before}, 412},
		{"If-Unmodified-Since later", []string{"If-Unmodified-Since: " + after}, 200},
	}
	for _, tc := range tests {
		for _, method := range []string{"GET", "HEAD"} {
			t.Run(tc.name+" "+method, func(t *testing.T) {
				res := ask(h, method, "/bare/file.txt", tc.header...)
				b := body(t, res)
				if res.StatusCode != tc.code {
					t.Fatalf("status %d, want %d", res.StatusCode, tc.code)
				}
				switch tc.code {
				case 304:
					if b != "" || res.Header.Get("ETag") != etag || res.Header.Get("Cache-Control") == "" || res.Header.Get("Content-Length") != "" {
						t.Errorf("304 with %v and %q (RFC 9110 §15.4.5)", res.Header, b)
					}
				case 412:
					if b != "" || res.Header.Get("Content-Length") != "" || res.Header.Get("Content-Type") != "" {
						t.Errorf("412 with %v and %q", res.Header, b)
					}
				}
			})
		}
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

func TestPrecompressed(t *testing.T) {
	h := newSite(t, site.Config{FS: testSite()})
	tests := []struct {
		path, accept, body, coding string
	}{
		{"/app.js", "gzip, deflate, br, zstd", "br of app", "br"},
		{"/app.js", "gzip, zstd", "zstd of app", "zstd"},
		{"/app.js", "gzip", "gzip of app", "gzip"},
		{"/app.js", "GZIP", "gzip of app", "gzip"},
		{"/app.js", "x-gzip", "gzip of app", "gzip"},
		{"/app.js", "br;q=0.1, gzip;q=0.9", "gzip of app", "gzip"},
		{"/app.js", "br;q=0.9 , gzip; q=0.8", "br of app", "br"},
		{"/app.js", "br;q=0, *", "zstd of app", "zstd"},
		{"/app.js", "*", "br of app", "br"},
		{"/app.js", "*;q=0", "identity of app", ""},
		{"/app.js", "", "identity of app", ""},
		{"/app.js", "identity", "identity of app", ""},
		{"/app.js", "identity;q=1, br;q=0.5", "identity of app", ""},
		{"/app.js", "identity;q=0.5, br", "br of app", "br"},
		{"/app.js", "identity;q=0, br;q=0.001", "br of app", "br"},
		{"/app.js", "deflate, compress", "identity of app", ""},
		{"/app.js", "br;q=2, gzip", "gzip of app", "gzip"},
		{"/app.js", "br;q=x, gzip;q=0.000", "identity of app", ""},
		{"/one.css", "br, gzip", "gzip of one", "gzip"},
		{"/one.css", "br", "identity of one", ""},
		{"/one.css", "identity;q=0", "identity of one", ""}, // nothing fits: sent all the same
	}
	for _, tc := range tests {
		t.Run(tc.path+" "+tc.accept, func(t *testing.T) {
			res := ask(h, "GET", tc.path, "Accept-Encoding: "+tc.accept)
			if got := body(t, res); got != tc.body || res.Header.Get("Content-Encoding") != tc.coding {
				t.Errorf("body %q, Content-Encoding %q; want %q, %q", got, res.Header.Get("Content-Encoding"), tc.body, tc.coding)
			}
			if res.Header.Get("Vary") != "Accept-Encoding" {
				t.Errorf("Vary %q", res.Header.Get("Vary"))
			}
			if res.Header.Get("Content-Length") != fmt.Sprint(len(tc.body)) {
				t.Errorf("Content-Length %q for %d octets", res.Header.Get("Content-Length"), len(tc.body))
			}
			suffix := ""
			if tc.coding != "" {
				suffix = "-" + tc.coding
			}
			if want := `"` + blobID(tc.body) + suffix + `"`; res.Header.Get("ETag") != want {
				t.Errorf("ETag %s, want %s", res.Header.Get("ETag"), want)
			}
			if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/") {
				t.Errorf("Content-Type %q", res.Header.Get("Content-Type"))
			}
		})
	}
	t.Run("no header at all", func(t *testing.T) {
		if res := ask(h, "GET", "/app.js"); body(t, res) != "identity of app" || res.Header.Get("Vary") == "" {
			t.Errorf("%v", res.Header)
		}
	})
	t.Run("a range of an encoding", func(t *testing.T) {
		res := ask(h, "GET", "/app.js", "Accept-Encoding: br", "Range: bytes=0-1")
		if body(t, res) != "br" || res.StatusCode != 206 || res.Header.Get("Content-Range") != "bytes 0-1/9" || res.Header.Get("Content-Encoding") != "br" {
			t.Errorf("%d %v", res.StatusCode, res.Header)
		}
	})
	t.Run("the validator of one encoding is none of another", func(t *testing.T) {
		tag := ask(h, "GET", "/app.js", "Accept-Encoding: br").Header.Get("ETag")
		if res := ask(h, "GET", "/app.js", "Accept-Encoding: gzip", "If-None-Match: "+tag); res.StatusCode != 200 {
			t.Errorf("status %d", res.StatusCode)
		}
		res := ask(h, "GET", "/app.js", "Accept-Encoding: br", "If-None-Match: "+tag)
		if res.StatusCode != 304 || res.Header.Get("Vary") == "" || res.Header.Get("Content-Encoding") != "" {
			t.Errorf("%d %v", res.StatusCode, res.Header)
		}
	})
	t.Run("dense types have no variants", func(t *testing.T) {
		res := ask(h, "GET", "/photo.jpg", "Accept-Encoding: gzip")
		if body(t, res) != "jpg" || res.Header.Get("Vary") != "" {
			t.Errorf("%v", res.Header)
		}
	})
}

func TestStaleVariantIsNotServed(t *testing.T) {
	m := fstest.MapFS{
		"index.html":    {Data: []byte("new"), ModTime: mtime},
		"index.html.gz": {Data: []byte("old"), ModTime: mtime.Add(-time.Minute)},
	}
	h := newSite(t, site.Config{FS: m})
	if res := ask(h, "GET", "/", "Accept-Encoding: gzip"); body(t, res) != "new" || res.Header.Get("Vary") != "" {
		t.Errorf("%v", res.Header)
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

func TestDefaultSite(t *testing.T) {
	h := newSite(t, site.Config{})
	for p, code := range map[string]int{"/": 200, "/how/": 200, "/favicon.svg": 200, "/style.css": 200, "/nothing": 404} {
		res := ask(h, "GET", p)
		if b := body(t, res); res.StatusCode != code || len(b) < 100 {
			t.Errorf("%s: %d, %d octets", p, res.StatusCode, len(b))
		}
	}
}

// Nothing outside the machine may be needed to show the pages: no address of
// another host is loaded, and every local link leads somewhere.
func TestDefaultSiteStandsAlone(t *testing.T) {
	h := newSite(t, site.Config{})
	err := fs.WalkDir(site.Default(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".html") {
			return err
		}
		b, err := fs.ReadFile(site.Default(), name)
		if err != nil {
			return err
		}
		for _, attr := range []string{`src="`, `href="`} {
			for _, part := range bytes.Split(b, []byte(attr))[1:] {
				link, _, _ := strings.Cut(string(part), `"`)
				switch {
				case strings.HasPrefix(link, "#"):
					if !bytes.Contains(b, []byte(`id="`+link[1:]+`"`)) {
						t.Errorf("%s links to %s, which it does not have", name, link)
					}
				case strings.HasPrefix(link, "http://127.0.0.1:8081/"): // the management address of make run
				case strings.HasPrefix(link, "/"):
					p, _, _ := strings.Cut(link, "#")
					if res := ask(h, "GET", p); res.StatusCode != 200 {
						t.Errorf("%s links to %s: status %d", name, link, res.StatusCode)
					}
				default:
					t.Errorf("%s links to %s", name, link)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

package site_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"arpeggio/site"
)

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

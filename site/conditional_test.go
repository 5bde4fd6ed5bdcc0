package site_test

import (
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"testing"

	"arpeggio/site"
)

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

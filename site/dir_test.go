package site_test

import (
	"archive/zip"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"arpeggio/site"
)

func openDir(t *testing.T, dir string) *site.Dir {
	t.Helper()
	d, err := site.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func write(t *testing.T, name, content string, age time.Duration) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	when := time.Now().Add(-age)
	if err := os.Chtimes(name, when, when); err != nil {
		t.Fatal(err)
	}
}

func TestOpenDirRefuses(t *testing.T) {
	tmp := t.TempDir()
	write(t, filepath.Join(tmp, "file"), "x", 0)
	for _, tc := range []struct{ dir, want string }{
		{"", "no directory given"},
		{filepath.Join(tmp, "none"), "does not exist: create it"},
		{filepath.Join(tmp, "file"), "is not a directory: name the folder"},
		{filepath.Join(tmp, "file", "x"), "cannot be read"},
	} {
		if _, err := site.OpenDir(tc.dir); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("OpenDir(%q) = %v, want %q", tc.dir, err, tc.want)
		}
	}
}

func TestSymbolicLinks(t *testing.T) {
	tmp := t.TempDir()
	root := filepath.Join(tmp, "site")
	write(t, filepath.Join(tmp, "secret.txt"), "secret", time.Hour)
	write(t, filepath.Join(root, "index.html"), "home", time.Hour)
	for name, target := range map[string]string{
		"inside.html": "index.html",
		"out.txt":     "../secret.txt",
		"abs.txt":     filepath.Join(tmp, "secret.txt"),
		"up":          "..",
		"loop.txt":    "loop.txt",
		"gone.txt":    "nowhere",
	} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Skip("no symbolic links here:", err)
		}
	}
	h := newSite(t, site.Config{FS: openDir(t, root)})
	for p, code := range map[string]int{
		"/inside.html": 200, "/out.txt": 404, "/abs.txt": 404, "/up/": 404, "/up/secret.txt": 404, "/loop.txt": 404, "/gone.txt": 404,
		"/" + strings.Repeat("a", 5000): 404,
	} {
		res := ask(h, "GET", p)
		if b := body(t, res); res.StatusCode != code || strings.Contains(b, "secret") {
			t.Errorf("%.20s: status %d %q, want %d", p, res.StatusCode, b, code)
		}
	}
}

// A pipe has no end and opening one waits for a writer.
func TestSpecialFiles(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "index.html"), "home", 0)
	if out, err := exec.Command("mkfifo", filepath.Join(root, "pipe.txt")).CombinedOutput(); err != nil {
		t.Skipf("mkfifo: %v %s", err, out)
	}
	h := newSite(t, site.Config{FS: openDir(t, root)})
	if res := ask(h, "GET", "/pipe.txt"); res.StatusCode != 404 {
		t.Errorf("status %d", res.StatusCode)
	}
}

// A file that changes gets a new tag, also when its size stays and the change
// comes within one tick of the file system's clock.
func TestTagFollowsContent(t *testing.T) {
	root := t.TempDir()
	name := filepath.Join(root, "index.html")
	h := newSite(t, site.Config{FS: openDir(t, root)})
	for i, content := range []string{"one", "two", "six"} {
		write(t, name, content, 0)
		res := ask(h, "GET", "/")
		if got, want := res.Header.Get("ETag"), `"`+blobID(content)+`"`; got != want {
			t.Errorf("version %d: ETag %s, want %s", i, got, want)
		}
		if lm := res.Header.Get("Last-Modified"); lm != "" {
			t.Errorf("a file of this second has Last-Modified %s, which is no strong validator", lm)
		}
	}
	for _, age := range []time.Duration{2 * time.Hour, time.Hour} { // settled files are remembered
		content := age.String()
		write(t, name, content, age)
		for range 2 {
			res := ask(h, "GET", "/")
			if got, want := res.Header.Get("ETag"), `"`+blobID(content)+`"`; got != want || res.Header.Get("Last-Modified") == "" {
				t.Errorf("ETag %s, want %s; %v", got, want, res.Header)
			}
		}
	}
	write(t, name, "from the future", -time.Hour)
	if lm := ask(h, "GET", "/").Header.Get("Last-Modified"); lm != "" {
		t.Errorf("Last-Modified %s lies ahead (RFC 9110 §8.8.2.1)", lm)
	}
}

func TestHashedOnce(t *testing.T) {
	m := fstest.MapFS{"index.html": file("x"), "big.bin": file(strings.Repeat("0123456789abcdef", 1<<16))}
	h := newSite(t, site.Config{FS: m})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if tag := ask(h, "HEAD", "/big.bin").Header.Get("ETag"); len(tag) != 42 {
				t.Errorf("ETag %q", tag)
			}
		})
	}
	wg.Wait()
	// A change that keeps size and time shows whether the second look reads the file.
	was := ask(h, "HEAD", "/big.bin").Header.Get("ETag")
	m["big.bin"].Data = bytes.ToUpper(m["big.bin"].Data)
	if tag := ask(h, "HEAD", "/big.bin").Header.Get("ETag"); tag != was {
		t.Errorf("the file was hashed again")
	}
	m["big.bin"].ModTime = mtime.Add(time.Second)
	if tag := ask(h, "HEAD", "/big.bin").Header.Get("ETag"); tag == was {
		t.Errorf("the file was not hashed again after its time changed")
	}
}

// The files of a zip archive cannot seek.
func TestZip(t *testing.T) {
	var buf bytes.Buffer
	zw := zip.NewWriter(&buf)
	for name, content := range map[string]string{"index.html": "home", "a.txt": "0123456789"} {
		w, err := zw.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: mtime})
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, content)
	}
	zw.Close()
	zr, err := zip.NewReader(bytes.NewReader(buf.Bytes()), int64(buf.Len()))
	if err != nil {
		t.Fatal(err)
	}
	h := newSite(t, site.Config{FS: zr})
	for rng, want := range map[string]string{"": "0123456789", "bytes=3-5": "345", "bytes=-1": "9"} {
		res := ask(h, "GET", "/a.txt", "Range: "+rng)
		if b := body(t, res); b != want || res.Header.Get("ETag") != `"`+blobID("0123456789")+`"` || res.Header.Get("Last-Modified") != mtimeHTTP {
			t.Errorf("Range %q: %q %v", rng, b, res.Header)
		}
	}
	if b := body(t, ask(h, "GET", "/a.txt", "Range: bytes=8-9,0-1")); !strings.Contains(b, "89") || !strings.Contains(b, "01") {
		t.Errorf("parts in reverse: %q", b)
	}
}

// A file of 64 MiB arrives whole and costs the server a buffer, not 64 MiB.
func TestLargeFileIsStreamed(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "index.html"), "home", 0)
	f, err := os.Create(filepath.Join(root, "big.bin"))
	if err != nil {
		t.Fatal(err)
	}
	const size = 64 << 20
	sum := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(f, sum), rand.Reader, size); err != nil {
		t.Fatal(err)
	}
	f.Close()
	srv := httptest.NewServer(newSite(t, site.Config{FS: openDir(t, root)}))
	defer srv.Close()

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	res, err := http.Get(srv.URL + "/big.bin")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got := sha256.New()
	n, err := io.Copy(got, res.Body)
	runtime.ReadMemStats(&after)
	if err != nil || n != size || !bytes.Equal(got.Sum(nil), sum.Sum(nil)) {
		t.Fatalf("%d octets of %d, %v", n, size, err)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 4<<20 {
		t.Errorf("serving allocated %d octets", grown)
	}
}

// What stock curl sees over a real connection, header by header.
func TestCurl(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	srv := httptest.NewServer(newSite(t, site.Config{FS: testSite()}))
	defer srv.Close()
	curl := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("curl", append([]string{"-sS", "--max-time", "10", "--noproxy", "*"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("curl %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	etag := blobID("0123456789")
	for _, tc := range []struct {
		name string
		args []string
		want []string
		not  []string
	}{
		{"plain", []string{"-i", srv.URL + "/bare/file.txt"},
			[]string{"HTTP/1.1 200 OK", "Content-Length: 10", "Etag: \"" + etag + "\"", "Accept-Ranges: bytes", "\r\n\r\n0123456789"}, []string{"Transfer-Encoding"}},
		{"head", []string{"-I", srv.URL + "/bare/file.txt"}, []string{"HTTP/1.1 200 OK", "Content-Length: 10"}, []string{"0123456789"}},
		{"range", []string{"-i", "-r", "2-4", srv.URL + "/bare/file.txt"},
			[]string{"HTTP/1.1 206 Partial Content", "Content-Range: bytes 2-4/10", "Content-Length: 3", "\r\n\r\n234"}, nil},
		{"unsatisfiable", []string{"-i", "-r", "99-", srv.URL + "/bare/file.txt"},
			[]string{"HTTP/1.1 416 ", "Content-Range: bytes */10"}, []string{"Etag"}},
		{"not modified", []string{"-i", "-H", "If-None-Match: \"" + etag + "\"", srv.URL + "/bare/file.txt"},
			[]string{"HTTP/1.1 304 Not Modified", "Etag: \"" + etag + "\""}, []string{"Content-Length", "\nContent-Type", "0123456789"}},
		{"precondition", []string{"-i", "-H", "If-Match: \"x\"", srv.URL + "/app.js", "-H", "Accept-Encoding: br"},
			[]string{"HTTP/1.1 412 Precondition Failed", "Content-Length: 0"}, []string{"Content-Encoding", "Etag"}},
		{"encoded", []string{"-i", "-H", "Accept-Encoding: gzip", srv.URL + "/app.js"},
			[]string{"Content-Encoding: gzip", "Content-Length: 11", "Vary: Accept-Encoding", "gzip of app"}, []string{"Transfer-Encoding"}},
		{"path as it is", []string{"-i", "--path-as-is", srv.URL + "/../../etc/passwd"}, []string{"HTTP/1.1 400 Bad Request"}, []string{"root:"}},
		{"escaped", []string{"-i", "--path-as-is", srv.URL + "/%2e%2e/%2e%2e/etc/passwd"}, []string{"HTTP/1.1 400 Bad Request"}, []string{"root:"}},
		{"options", []string{"-i", "-X", "OPTIONS", srv.URL + "/"}, []string{"HTTP/1.1 204 No Content", "Allow: GET, HEAD, OPTIONS"}, nil},
		{"post", []string{"-i", "-d", "x=y", srv.URL + "/"}, []string{"HTTP/1.1 405 Method Not Allowed", "Allow: GET, HEAD, OPTIONS"}, nil},
		{"follow", []string{"-L", srv.URL + "/docs"}, []string{"<h1>docs</h1>"}, nil},
	} {
		out := curl(tc.args...)
		for _, w := range tc.want {
			if !strings.Contains(out, w) {
				t.Errorf("%s: %q is missing in\n%s", tc.name, w, out)
			}
		}
		for _, w := range tc.not {
			if strings.Contains(out, w) {
				t.Errorf("%s: %q is in\n%s", tc.name, w, out)
			}
		}
	}
	// One connection carries many answers only if each says correctly where it ends.
	urls := []string{srv.URL + "/", srv.URL + "/nothing", srv.URL + "/app.js", srv.URL + "/empty.txt", srv.URL + "/docs/"}
	if out := curl(append([]string{"-w", "%{num_connects} "}, urls...)...); strings.Count(out, "0 ") < len(urls)-1 {
		t.Errorf("the connection was not reused: %q", out)
	}
}

// Whatever the path, the answer is one of ours, and never something that is not
// a file of the site.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"/", "/docs", "/../secret.txt", "//secret", "/a/./b", "/.git/config", "/%2e%2e", "/x\x00", "\\..", "/up/secret.txt", "/.well-known/../.git"} {
		f.Add(s)
	}
	tmp := f.TempDir()
	root := filepath.Join(tmp, "site")
	for name, content := range map[string]string{
		"secret.txt": "secret", "site/index.html": "home", "site/.hidden": "secret", "site/d/index.html": "d", "site/d/.git/config": "secret",
	} {
		if err := os.MkdirAll(filepath.Join(tmp, filepath.Dir(name)), 0o755); err != nil {
			f.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(tmp, name), []byte(content), 0o644); err != nil {
			f.Fatal(err)
		}
	}
	_ = os.Symlink("..", filepath.Join(root, "up")) // one more way out, where there are links
	d, err := site.OpenDir(root)
	if err != nil {
		f.Fatal(err)
	}
	h := newSite(f, site.Config{FS: d})
	f.Fuzz(func(t *testing.T, p string) {
		res := ask(h, "GET", p)
		b := body(t, res)
		switch res.StatusCode {
		case 200:
			if b != "home" && b != "d" {
				t.Errorf("%q: got %q", p, b)
			}
		case 301:
			if loc := res.Header.Get("Location"); !strings.HasPrefix(loc, "./") || strings.ContainsAny(loc, "\r\n") {
				t.Errorf("%q: Location %q", p, loc)
			}
		case 400, 404:
		default:
			t.Errorf("%q: status %d", p, res.StatusCode)
		}
	})
}

func ExampleNew() {
	h, err := site.New(site.Config{FS: fstest.MapFS{
		"index.html": {Data: []byte("<h1>Hello</h1>\n")},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	fmt.Println(w.Code, w.Header().Get("ETag")) // the id that git hash-object prints
	fmt.Print(w.Body)
	// Output:
	// 200 "986a4a1a25bc4928e95d7e0d6cfa67d9a9c7a808"
	// <h1>Hello</h1>
}

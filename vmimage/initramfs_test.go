package vmimage

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/cavaliergopher/cpio"
)

// fakeBinary writes a minimal static ELF program: a header, one loadable
// segment and its octets. change may spoil it.
func fakeBinary(t testing.TB, change func([]byte) []byte) string {
	t.Helper()
	b := make([]byte, 64+56+8)
	copy(b, "\x7fELF\x02\x01\x01")
	b[16], b[18], b[20] = 2, 62, 1 // ET_EXEC, EM_X86_64, EV_CURRENT
	b[32], b[52], b[54], b[56], b[58] = 64, 64, 56, 1, 64
	ph := b[64:]
	ph[0] = 1             // PT_LOAD
	ph[32] = byte(len(b)) // p_filesz
	ph[40] = byte(len(b)) // p_memsz
	copy(b[120:], "program.")
	if change != nil {
		b = change(b)
	}
	path := filepath.Join(t.TempDir(), "binary")
	if err := os.WriteFile(path, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func testSite() fs.FS {
	return fstest.MapFS{
		"index.html":     {Data: []byte("<title>hello</title>\n"), ModTime: time.Now()},
		"deep/a/b.txt":   {Data: []byte("b"), Mode: 0o755, ModTime: time.Now()},
		"deep/empty.txt": {},
	}
}

func TestInitramfsListing(t *testing.T) {
	var b bytes.Buffer
	m, err := Initramfs(&b, InitramfsConfig{Init: fakeBinary(t, nil), Trees: map[string]fs.FS{"site": testSite(), "etc/tls": fstest.MapFS{"cert": {Data: []byte("c")}}}})
	if err != nil {
		t.Fatal(err)
	}
	if int64(b.Len()) != m.Size || sha256.Sum256(b.Bytes()) != m.SHA256 {
		t.Error("manifest does not describe the archive")
	}
	bin, err := os.ReadFile(fakeBinary(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	if m.InitSize != int64(len(bin)) || m.InitSHA256 != sha256.Sum256(bin) {
		t.Error("manifest does not describe /init")
	}
	var got []string
	for r := cpio.NewReader(bytes.NewReader(b.Bytes())); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Guid != 0 || h.ModTime.Unix() != 0 {
			t.Errorf("%s: owner %d:%d, time %v", h.Name, h.Uid, h.Guid, h.ModTime)
		}
		got = append(got, fmt.Sprintf("%d %o %s %d", h.Inode, h.Mode, h.Name, len(data)))
	}
	want := `1 40755 data 0
2 40755 dev 0
3 40755 proc 0
4 40755 run 0
5 40755 sys 0
6 40755 tmp 0
7 20600 dev/console 0
8 20666 dev/null 0
9 100755 init 128
10 40755 etc 0
11 40755 etc/tls 0
12 100644 etc/tls/cert 1
13 40755 site 0
14 40755 site/deep 0
15 40755 site/deep/a 0
16 100644 site/deep/a/b.txt 1
17 100644 site/deep/empty.txt 0
18 100644 site/index.html 21
19 100444 .complete 0`
	if s := strings.Join(got, "\n"); s != want {
		t.Errorf("got\n%s\nwant\n%s", s, want)
	}
	if m.Entries != len(got) {
		t.Errorf("%d entries, manifest says %d", len(got), m.Entries)
	}
}

// The bytes are part of the contract: an image of equal input has equal bytes
// on every machine and in every release that does not say otherwise.
func TestInitramfsGolden(t *testing.T) {
	const golden = "c927920293f97820aa297dc304bc71dbebad9e249d041337496e8ffc0936043a"
	cfg := InitramfsConfig{Init: fakeBinary(t, nil), Trees: map[string]fs.FS{"site": testSite()}}
	m, err := Initramfs(io.Discard, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(m.SHA256[:]); got != golden {
		t.Errorf("SHA-256 %s, want %s", got, golden)
	}
	path := filepath.Join(t.TempDir(), "initramfs")
	again, err := WriteInitramfs(path, cfg)
	if err != nil || again != m {
		t.Errorf("second archive: %+v, %v; first: %+v", again, err, m)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) != 1 {
		t.Errorf("files beside the image: %v", left)
	}
}

func TestDeviceNodes(t *testing.T) {
	var b bytes.Buffer
	if _, err := Initramfs(&b, InitramfsConfig{Init: fakeBinary(t, nil)}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"dev/console": "0000000500000001", "dev/null": "0000000100000003"} {
		at := bytes.Index(b.Bytes(), []byte(name+"\x00")) - 110
		if at < 0 {
			t.Fatalf("no %s", name)
		}
		if got := string(b.Bytes()[at+78 : at+94]); got != want {
			t.Errorf("%s: device number %s, want %s", name, got, want)
		}
	}
}

func TestInitramfsRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		cfg  InitramfsConfig
		says string
	}{
		{"no binary", InitramfsConfig{Init: filepath.Join(t.TempDir(), "none")}, "does not exist"},
		{"a script", InitramfsConfig{Init: file}, "not a whole Linux program"},
		{"a directory", InitramfsConfig{Init: t.TempDir()}, "not a regular file"},
		{"arm64 binary", InitramfsConfig{Init: fakeBinary(t, func(b []byte) []byte { b[18] = 183; return b })}, "GOARCH=amd64"},
		{"amd64 binary for arm64", InitramfsConfig{Init: fakeBinary(t, nil), Arch: "arm64"}, "GOARCH=arm64"},
		{"unknown architecture", InitramfsConfig{Init: fakeBinary(t, nil), Arch: "vax"}, `"vax"`},
		{"dynamic binary", InitramfsConfig{Init: fakeBinary(t, func(b []byte) []byte { b[64] = 3; return b })}, "CGO_ENABLED=0"},
		{"cut binary", InitramfsConfig{Init: fakeBinary(t, func(b []byte) []byte { return b[:124] })}, "cut off"},
		{"shared library", InitramfsConfig{Init: fakeBinary(t, func(b []byte) []byte { b[16] = 1; return b })}, "not a program"},
		{"pipe in the site", InitramfsConfig{Init: fakeBinary(t, nil), Trees: map[string]fs.FS{"site": fstest.MapFS{"p": {Mode: fs.ModeNamedPipe}}}}, "neither a file"},
		{"tree outside", InitramfsConfig{Init: fakeBinary(t, nil), Trees: map[string]fs.FS{"../up": testSite()}}, "no folder"},
		{"tree over /init", InitramfsConfig{Init: fakeBinary(t, nil), Trees: map[string]fs.FS{"init": testSite()}}, "two entries"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Initramfs(io.Discard, c.cfg)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want something with %q", err, c.says)
			}
		})
	}
}

func TestSiteDir(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	site := filepath.Join(dir, "site")
	for path, text := range map[string]string{secret: "secret", filepath.Join(site, "page"): "page"} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	image := func() ([]byte, error) {
		fsys, err := SiteDir(site)
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		_, err = Initramfs(&b, InitramfsConfig{Init: fakeBinary(t, nil), Trees: map[string]fs.FS{"site": fsys}})
		return b.Bytes(), err
	}
	if err := os.Symlink("page", filepath.Join(site, "alias")); err != nil {
		t.Fatal(err)
	}
	if b, err := image(); err != nil || bytes.Count(b, []byte("page")) < 3 {
		t.Errorf("a link inside the site is not followed: %v", err)
	}
	for path, want := range map[string]bool{".env": false, ".git/config": false, ".well-known/security.txt": true} {
		path = filepath.Join(site, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if b, err := image(); err != nil || bytes.Contains(b, []byte(filepath.Base(path))) != want {
			t.Errorf("%s is in the image: %v; %v", path, !want, err)
		}
	}
	for name, c := range map[string]struct{ to, says string }{
		"leak":  {"../secret", "out of the site"},
		"stale": {"nothing", "leads nowhere"},
		"twin":  {".well-known", "link to a directory"},
	} {
		if err := os.Symlink(c.to, filepath.Join(site, name)); err != nil {
			t.Fatal(err)
		}
		b, err := image()
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), c.says) || bytes.Contains(b, []byte("secret\x00\x00")) {
			t.Errorf("a link to %s: %v", c.to, err)
		}
		os.Remove(filepath.Join(site, name))
	}
	for path, says := range map[string]string{filepath.Join(dir, "none"): "does not exist", secret: "is a file"} {
		if _, err := SiteDir(path); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("SiteDir(%s): %v", path, err)
		}
	}
}

package vmimage

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestInspectInitramfs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "initramfs")
	m, err := WriteInitramfs(path, InitramfsConfig{Init: fakeBinary(t, nil), Trees: map[string]fs.FS{"site": testSite()}})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := InspectInitramfs(path); err != nil || got != m {
		t.Errorf("got %+v, %v; want %+v", got, err, m)
	}
	if _, err := InspectInitramfs(path + "x"); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("missing: %v", err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The trailer is 124 octets; without it the kernel still gets every file.
	for n := range len(whole) - 124 {
		if _, err := readManifest(bytes.NewReader(whole[:n])); err == nil {
			t.Fatalf("an archive cut after %d of %d octets is accepted", n, len(whole))
		}
	}
	for _, other := range []string{"", "hello, this is no archive at all", strings.Repeat("0", 4096)} {
		if _, err := readManifest(strings.NewReader(other)); err == nil {
			t.Errorf("%.20q is accepted", other)
		}
	}
}

func FuzzReadManifest(f *testing.F) {
	var b bytes.Buffer
	if _, err := Initramfs(&b, InitramfsConfig{Init: fakeBinary(f, nil)}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, in []byte) {
		if m, err := readManifest(bytes.NewReader(in)); err == nil && (m.Size != int64(len(in)) || m.InitSize > m.Size) {
			t.Errorf("%+v of %d octets", m, len(in))
		}
	})
}

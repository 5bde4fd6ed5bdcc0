package vmimage

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fakeKernel is a bzImage as far as the setup header shows: one setup sector,
// 64 octets of kernel.
func fakeKernel() []byte {
	b := make([]byte, 1024+64)
	le := binary.LittleEndian
	b[offSetupSects] = 1
	le.PutUint32(b[offSysSize:], 4)
	le.PutUint16(b[offBootFlag:], 0xaa55)
	copy(b[offHeader:], "HdrS")
	le.PutUint16(b[offVersion:], 0x20f)
	le.PutUint16(b[offKernelVer:], 0x100)
	b[offLoadFlags] = loadedHigh
	b[offXLoadFlags] = xlfKernel64
	copy(b[0x300:], "7.1.3 (somebody@somewhere) #1\x00")
	return b
}

func TestKernel(t *testing.T) {
	le := binary.LittleEndian
	for _, c := range []struct {
		name   string
		change func(b []byte) []byte
		says   string // "" means accepted
	}{
		{"good", func(b []byte) []byte { return b }, ""},
		{"empty", func(b []byte) []byte { return nil }, "cut off"},
		{"cut in the kernel", func(b []byte) []byte { return b[:1060] }, "cut off"},
		{"vmlinux", func(b []byte) []byte { copy(b, "\x7fELF"); return b }, "vmlinux"},
		{"arm64 Image", func(b []byte) []byte { copy(b[56:], "ARM\x64"); return b }, "arm64"},
		{"gzip", func(b []byte) []byte { copy(b, "\x1f\x8b"); return b }, "gzip"},
		{"no header", func(b []byte) []byte { b[offHeader] = 'h'; return b }, "not a Linux kernel"},
		{"no boot flag", func(b []byte) []byte { b[offBootFlag] = 0; return b }, "not a Linux kernel"},
		{"zImage", func(b []byte) []byte { b[offLoadFlags] = 0; return b }, "zImage"},
		{"32-bit", func(b []byte) []byte { b[offXLoadFlags] = 0; return b }, "32-bit"},
		{"ancient", func(b []byte) []byte { le.PutUint16(b[offVersion:], 0x204); return b }, "too old"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "vmlinuz")
			if err := os.WriteFile(path, c.change(fakeKernel()), 0o600); err != nil {
				t.Fatal(err)
			}
			k, err := Kernel(path)
			if c.says == "" {
				if err != nil || k.Version != "7.1.3" {
					t.Errorf("%+v %v", k, err)
				}
			} else if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want something with %q", err, c.says)
			}
		})
	}
	if _, err := Kernel(t.TempDir()); err == nil || !strings.Contains(err.Error(), "directory") {
		t.Errorf("directory: %v", err)
	}
	if _, err := Kernel(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "go mod download") {
		t.Errorf("missing: %v", err)
	}
}

func TestKernelOfTheModule(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/gokrazy/kernel.amd64").Output()
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		t.Skip("the kernel's module is not downloaded: go mod download github.com/gokrazy/kernel.amd64")
	}
	k, err := Kernel(filepath.Join(dir, "vmlinuz"))
	if err != nil || k.Version == "" {
		t.Errorf("%+v %v", k, err)
	}
}

func FuzzKernel(f *testing.F) {
	f.Add(fakeKernel())
	f.Add([]byte("\x7fELF"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, err := readKernel(bytes.NewReader(b), int64(len(b))); err == nil && (len(b) < setupHeaderEnd || len(v) > 64) {
			t.Errorf("accepted %d octets, version %q", len(b), v)
		}
	})
}

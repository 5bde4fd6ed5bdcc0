package vmimage

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestCreateDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	if err := CreateDisk(path, 0); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() != DefaultDiskSize || info.Mode().Perm() != 0o600 {
		t.Errorf("disk: %v %v", info, err)
	}
	if err := InspectDisk(path); err != nil {
		t.Error(err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Blocks*512 > 4<<20 {
		t.Errorf("the file is not sparse: %d octets on disk", st.Blocks*512)
	}
}

func TestCreateDiskReplacesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	before := []byte("somebody's file")
	if err := os.WriteFile(path, before, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := CreateDisk(path, 0); !errors.Is(err, fs.ErrExist) {
		t.Errorf("an existing disk: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Error("an existing disk was changed")
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) != 1 {
		t.Errorf("files beside the disk: %v", left)
	}
}

// The template is whole in the eyes of the file system's own tools, and holds
// the marker.
func TestTemplateIsSound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	if err := CreateDisk(path, MinDiskSize); err != nil {
		t.Fatal(err)
	}
	e2fsck, err := exec.LookPath("e2fsck")
	if err != nil {
		if e2fsck, err = exec.LookPath("/sbin/e2fsck"); err != nil {
			t.Skip("e2fsck is not installed (package e2fsprogs)")
		}
	}
	if out, err := exec.Command(e2fsck, "-fn", path).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	debugfs := filepath.Join(filepath.Dir(e2fsck), "debugfs")
	if out, err := exec.Command(debugfs, "-R", "cat /ARPEGGIO", path).Output(); err != nil || !strings.HasPrefix(string(out), "format 1\n") {
		t.Errorf("marker: %q %v", out, err)
	}
}

func TestCreateDiskRefusesSizes(t *testing.T) {
	for _, size := range []int64{-1, 1, MinDiskSize - 1, MaxDiskSize + 1} {
		if err := CreateDisk(filepath.Join(t.TempDir(), "data"), size); err == nil {
			t.Errorf("%d octets are accepted", size)
		}
	}
	if err := CreateDisk(filepath.Join(t.TempDir(), "no", "such", "dir"), 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing directory: %v", err)
	}
}

func TestInspectDiskRefuses(t *testing.T) {
	good := filepath.Join(t.TempDir(), "good")
	if err := CreateDisk(good, MinDiskSize); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	b = b[:8192]
	cut := filepath.Join(t.TempDir(), "cut")
	if err := os.WriteFile(cut, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := InspectDisk(cut); !errors.Is(err, ErrCutDisk) || !strings.Contains(err.Error(), "0 MiB of 32") {
		t.Errorf("a disk that lost its end: %v", err)
	}
	spoilt := func(at int) []byte {
		c := bytes.Clone(b)
		c[at] ^= 0xff
		return c
	}
	for name, content := range map[string][]byte{
		"empty":         nil,
		"short":         b[:2000],
		"blank":         make([]byte, 8192),
		"text":          bytes.Repeat([]byte("text "), 2000),
		"other label":   spoilt(1024 + 0x78),
		"other UUID":    spoilt(1024 + 0x68 + 15),
		"spoilt number": spoilt(1024 + 0x38),
	} {
		path := filepath.Join(t.TempDir(), "disk")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := InspectDisk(path); !errors.Is(err, ErrForeignDisk) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := InspectDisk(t.TempDir()); !errors.Is(err, ErrForeignDisk) {
		t.Errorf("a directory: %v", err)
	}
	if err := InspectDisk(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
}

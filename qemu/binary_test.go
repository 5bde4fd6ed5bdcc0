package qemu

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestInstallCommand(t *testing.T) {
	for _, c := range []struct {
		has  string
		root bool
		want string
	}{
		{"apt-get", false, "sudo apt-get update && sudo apt-get install -y --no-install-recommends qemu-system-x86"},
		{"apt-get", true, "apt-get update && apt-get install -y --no-install-recommends qemu-system-x86"},
		{"dnf", false, "sudo dnf install -y qemu-system-x86-core"},
		{"apk", true, "apk add qemu-system-x86_64"},
		{"brew", false, "brew install qemu"},
		{"apt-get brew", true, "apt-get update && apt-get install -y --no-install-recommends qemu-system-x86"},
		{"", false, ""},
	} {
		has := func(name string) bool { return strings.Contains(" "+c.has+" ", " "+name+" ") }
		if got := installCommand(has, c.root, "sudo "); got != c.want {
			t.Errorf("%s, root %v: %q, want %q", c.has, c.root, got, c.want)
		}
	}
}

func TestFindBinaryNamesTheCommand(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if _, err := FindBinary(); !errors.Is(err, ErrNotInstalled) || !strings.Contains(err.Error(), "qemu.org") {
		t.Errorf("without a package manager: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "zypper"), []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := FindBinary(); !errors.Is(err, ErrNotInstalled) || !strings.Contains(err.Error(), "zypper --non-interactive install qemu-x86") {
		t.Errorf("with zypper: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, Emulator), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if path, err := FindBinary(); err != nil || path != filepath.Join(dir, Emulator) {
		t.Errorf("%s %v", path, err)
	}
}

func TestParseVersion(t *testing.T) {
	v, err := parseVersion("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright")
	if err != nil || v != (Version{7, 2, 22}) || !v.StreamNet() || v.String() != "7.2.22" {
		t.Errorf("%v %v", v, err)
	}
	if v, err := parseVersion("QEMU emulator version 6.2.0 (Debian 1:6.2+dfsg-2ubuntu6)"); err != nil || v.StreamNet() {
		t.Errorf("%v %v", v, err)
	}
	if v := (Version{10, 0, 0}); !v.StreamNet() {
		t.Error("version 10 is newer than 7.2")
	}
	if _, err := parseVersion("bash: qemu: command not found"); err == nil {
		t.Error("nonsense is a version")
	}
}

func TestQueryVersion(t *testing.T) {
	path, err := FindBinary()
	if err != nil {
		t.Skip(err)
	}
	if v, err := QueryVersion(t.Context(), path); err != nil || v.Major < 2 {
		t.Errorf("%v %v", v, err)
	}
	if _, err := QueryVersion(t.Context(), os.Args[0]+"x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing program: %v", err)
	}
}

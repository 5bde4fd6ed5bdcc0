package qemu

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEmulatorFailure(t *testing.T) {
	for _, c := range []struct {
		stderr string
		cause  error
		says   string
	}{
		{"qemu: -netdev user,id=net: Could not set up host forwarding rule 'tcp:127.0.0.1:80-:80'", ErrPortInUse, "another port"},
		{"warning: nothing\nqemu: -device virtio-blk-pci: Failed to get \"write\" lock\nIs another process using the image [x]?", ErrDiskInUse, "another disk"},
		{"qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory", ErrMemory, "less memory"},
		{"Could not access KVM kernel module: Permission denied", ErrAccelerator, "TCG"},
		{"qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69\nqemu-system-x86_64: ../kvm.c:1: kvm_buf_set_msrs: Assertion", ErrAccelerator, "MSR 0x10a"},
		{"error: kvm run failed Bad address", ErrAccelerator, "TCG"},
		{"could not configure /dev/net/tun (tap0): Operation not permitted", ErrEmulator, "ip tuntap add"},
		{"-netdev stream,id=net: Parameter 'type' does not accept value 'stream'", ErrEmulator, "7.2"},
		{"something new", ErrEmulator, "something new"},
		{"", ErrEmulator, "exit status 1"},
	} {
		err := emulatorFailure(c.stderr, "exit status 1")
		if !errors.Is(err, c.cause) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v", c.stderr, err)
		}
	}
}

func TestGuestFailure(t *testing.T) {
	for _, c := range []struct {
		console string
		cause   error
		says    string
	}{
		{"[ 1.0] Initramfs unpacking failed: write error\n[ 2.0] Kernel panic - not syncing: Attempted to kill init!", ErrGuestDied, "more memory"},
		{"[ 2.0] Failed to execute /init (error -26)\n[ 2.1] Kernel panic - not syncing: No working init found.", ErrGuestDied, "build the image again"},
		{"fatal error: out of memory allocating heap arena map\nKernel panic - not syncing: Attempted to kill init!", ErrMemory, "more memory"},
		{"panic: oh no\nKernel panic - not syncing: Attempted to kill init! exitcode=0x00000200", ErrGuestDied, "crashed"},
		{"", ErrGuestDied, "panicked"},
	} {
		err := guestFailure([]byte(c.console))
		if !errors.Is(err, c.cause) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v", c.console, err)
		}
	}
}

// A crashed program's own words come before the kernel's registers.
func TestCrashedProgramIsQuoted(t *testing.T) {
	const console = "[ 1.0] booting\ntime=now msg=\"store opened\"\r\npanic: slice bounds out of range\n\ngoroutine 67 [running]:\nmain.main()\n" +
		"[ 6.3] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000200\n[ 6.4] RIP: 0033:0x4925eb\n"
	var e *ExitError
	if err := guestFailure([]byte(console)); !errors.As(err, &e) || e.Detail != "panic: slice bounds out of range" ||
		strings.Join(e.Console, "|") != "panic: slice bounds out of range|goroutine 67 [running]:|main.main()" {
		t.Errorf("%+v", e)
	}
}

func TestConsoleCannotCommandTheTerminal(t *testing.T) {
	err := guestFailure([]byte("\x1b[2Jgone\x07\r\n\n\xff\xfe\n"))
	if s := err.Error(); strings.ContainsAny(s, "\x1b\x07\r") || !utf8.ValidString(s) || !strings.Contains(s, "[2Jgone") {
		t.Errorf("%q", s)
	}
}

func TestTailIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "console")
	if err := os.WriteFile(path, []byte(strings.Repeat("a line of the console\n", 10_000)+"the end\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := tail(path)
	if len(b) > 64<<10 {
		t.Errorf("%d octets", len(b))
	}
	if l := lastLines(b); len(l) != consoleLines || l[consoleLines-1] != "the end" {
		t.Errorf("%q", l)
	}
	if l := lastLines(tail(path + "x")); l != nil {
		t.Errorf("a missing console has lines: %q", l)
	}
}

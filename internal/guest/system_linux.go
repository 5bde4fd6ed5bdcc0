package guest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"
)

// mountKernel mounts the kernel's file systems. What is mounted already is left
// as it is.
func mountKernel() error {
	for _, m := range []struct {
		kind, at, options string
		flags             uintptr
	}{
		{"proc", "/proc", "", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
		{"sysfs", "/sys", "", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
		{"devtmpfs", "/dev", "mode=0755", unix.MS_NOSUID | unix.MS_NOEXEC},
		{"tmpfs", "/tmp", "mode=1777,size=25%", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
		{"tmpfs", "/run", "mode=0755,size=10%", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
	} {
		if err := os.MkdirAll(m.at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.at, m.kind, m.flags, m.options); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	return nil
}

// verify checks that the initramfs was unpacked whole. The kernel runs a binary
// that was cut off without a word; how such a program then fails is anybody's
// guess.
func verify(p Params) error {
	const remedy = "build the image again; if that does not help, give the machine more memory"
	if p.Size == 0 {
		return nil
	}
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return &Fatal{fmt.Sprintf("this program's binary cannot be read: %v", err), remedy}
	}
	if n != p.Size {
		return &Fatal{fmt.Sprintf("this program's binary is cut off: %d of %d octets arrived in the initramfs", n, p.Size), remedy}
	}
	if p.SHA256 != [32]byte{} && [32]byte(h.Sum(nil)) != p.SHA256 {
		return &Fatal{fmt.Sprintf("this program's binary is damaged: its SHA-256 is %s, not %s",
			hex.EncodeToString(h.Sum(nil)), hex.EncodeToString(p.SHA256[:])), remedy}
	}
	if p.Complete != "" {
		if _, err := os.Stat(p.Complete); err != nil {
			return &Fatal{"the initramfs is cut off behind the binary: " + err.Error(), remedy}
		}
	}
	return nil
}

// bootTime returns when the kernel started, by the clock of now.
func bootTime() time.Time {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return time.Now()
	}
	return time.Now().Add(-time.Duration(ts.Nano()))
}

// setClock moves a clock that is behind the host's to it. The kernel has read
// the real-time clock, which some machines do not have.
func setClock(least time.Time) error {
	if least.IsZero() || !time.Now().Before(least) {
		return nil
	}
	tv := unix.NsecToTimeval(least.UnixNano())
	return os.NewSyscallError("settimeofday", unix.Settimeofday(&tv))
}

// limitMemory makes the garbage collector work harder before the machine runs
// out of memory: Go's part stays below three quarters, the kernel's caches get
// the rest. It returns the machine's memory in octets, 0 when that is unknown.
func limitMemory() int64 {
	var si unix.Sysinfo_t
	if unix.Sysinfo(&si) != nil {
		return 0
	}
	total := int64(uint64(si.Totalram) * uint64(si.Unit))
	debug.SetMemoryLimit(total / 4 * 3)
	return total
}

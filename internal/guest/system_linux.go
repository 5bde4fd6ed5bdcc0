package guest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"arpeggio/internal/control"
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
// the rest.
func limitMemory() {
	var si unix.Sysinfo_t
	if unix.Sysinfo(&si) == nil {
		debug.SetMemoryLimit(int64(uint64(si.Totalram) * uint64(si.Unit) / 4 * 3))
	}
}

// reap collects the orphans that the kernel hands to the first process. The
// program must start no children of its own and wait for them.
func reap() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, unix.SIGCHLD)
	for range c {
		for {
			pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
			if pid <= 0 && !errors.Is(err, unix.EINTR) {
				break
			}
		}
	}
}

// watchSignals stops the machine on SIGTERM, SIGINT and on Ctrl-Alt-Delete,
// which the kernel then turns into SIGINT.
func watchSignals(cancel context.CancelCauseFunc) {
	unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF) // without it the keys reset the machine
	c := make(chan os.Signal, 1)
	signal.Notify(c, unix.SIGTERM, unix.SIGINT)
	go func() {
		for s := range c {
			cancel(fmt.Errorf("signal %v", s))
		}
	}()
}

// From the kernel's include/uapi/linux/input-event-codes.h, and the layout of
// struct input_event on a 64-bit machine.
const (
	inputEventSize  = 24
	inputTypeOffset = 16 // u16 type, u16 code, s32 value
	evKey           = 1
	keyPower        = 116
)

// watchPowerButton stops the machine when an input device reports the power key.
func watchPowerButton(cancel context.CancelCauseFunc, log *slog.Logger) {
	paths, _ := filepath.Glob("/dev/input/event*") // the pattern is good
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			log.Warn("input device", "error", err)
			continue
		}
		go func() {
			defer f.Close()
			b := make([]byte, 16*inputEventSize)
			for {
				n, err := f.Read(b)
				if err != nil {
					return
				}
				if powerKey(b[:n]) {
					cancel(errors.New("power button"))
				}
			}
		}()
	}
}

// powerKey reports whether the power key goes down in a read of whole events.
func powerKey(b []byte) bool {
	press := []byte{evKey, 0, keyPower, 0, 1, 0, 0, 0}
	for ; len(b) >= inputEventSize; b = b[inputEventSize:] {
		if bytes.Equal(b[inputTypeOffset:inputEventSize], press) {
			return true
		}
	}
	return false
}

// portPatience is how long the host's virtio-serial ports may take to appear
// after their controller.
const portPatience = 2 * time.Second

// openPorts opens the ports to the host by name. Both are nil on a machine
// without them.
func openPorts() (ctrl, export io.ReadWriteCloser, err error) {
	controllers, _ := filepath.Glob("/sys/bus/virtio/drivers/virtio_console/virtio*")
	if len(controllers) == 0 {
		return nil, nil, nil
	}
	for end := time.Now().Add(portPatience); ; time.Sleep(10 * time.Millisecond) {
		ports := portNames()
		dev, ok := ports[control.PortControl]
		if !ok && time.Now().Before(end) {
			continue
		}
		if !ok {
			return nil, nil, nil
		}
		if ctrl, err = os.OpenFile(dev, os.O_RDWR, 0); err != nil {
			return nil, nil, err
		}
		if dev, ok = ports[control.PortExport]; ok {
			if export, err = os.OpenFile(dev, os.O_RDWR, 0); err != nil {
				return nil, nil, err
			}
		}
		return ctrl, export, nil
	}
}

// portNames maps the names that the host gave its ports to device files.
func portNames() map[string]string {
	out := map[string]string{}
	files, _ := filepath.Glob("/sys/class/virtio-ports/*/name")
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil {
			out[strings.TrimSpace(string(b))] = "/dev/" + filepath.Base(filepath.Dir(f))
		}
	}
	return out
}

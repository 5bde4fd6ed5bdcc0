package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"

	"golang.org/x/sys/unix"
)

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

package guest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestFirstOfAContainer runs parts of the duties as the first process of a PID
// namespace, which is as near to a machine as a test gets without one.
func TestFirstOfAContainer(t *testing.T) {
	const role = "ARPEGGIO_TEST_ROLE"
	if r := os.Getenv(role); r != "" {
		if err := roles[r](); err != nil {
			fmt.Println("FAILED:", err)
		}
		fmt.Println("DONE")
		return
	}
	for r := range roles {
		t.Run(r, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestFirstOfAContainer$")
			cmd.Env = append(os.Environ(), role+"="+r)
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
			out, err := cmd.CombinedOutput()
			if errors.Is(err, unix.EPERM) {
				t.Skip("making a PID namespace needs root")
			}
			if s := string(out); err != nil || !strings.Contains(s, "DONE") || strings.Contains(s, "FAILED") {
				t.Errorf("%v\n%s", err, s)
			}
		})
	}
}

var roles = map[string]func() error{
	// A container's first process is not a machine's.
	"not a machine": func() error {
		if os.Getpid() != 1 || IsInit() {
			return fmt.Errorf("id %d, IsInit %v", os.Getpid(), IsInit())
		}
		if Run(Config{}, func(context.Context, Env) error { return nil }) == nil {
			return errors.New("Run takes the container for a machine")
		}
		return nil
	},
	// Orphans end up here and are collected.
	"reap": func() error {
		go reap()
		sh, err := exec.LookPath("sh")
		if err != nil {
			return err
		}
		const orphans = "(sleep 0.1 & sleep 0.2 & sleep 0.3 &); exit 0"
		if _, err := syscall.ForkExec(sh, []string{"sh", "-c", orphans}, &syscall.ProcAttr{}); err != nil {
			return err
		}
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			var info unix.Siginfo
			err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
			if errors.Is(err, unix.ECHILD) {
				return nil // no child is left, dead or alive
			}
		}
		return errors.New("children are left")
	},
	// Signals stop the machine.
	"signals": func() error {
		ctx, cancel := context.WithCancelCause(context.Background())
		watchSignals(cancel)
		if err := unix.Kill(os.Getpid(), unix.SIGTERM); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Minute):
			return errors.New("SIGTERM does not stop it")
		}
		if c := context.Cause(ctx).Error(); c != "signal terminated" {
			return errors.New(c)
		}
		return nil
	},
}

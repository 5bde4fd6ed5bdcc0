package qemu

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"time"
)

// How long Stop waits after each of its steps.
const (
	stopPatience  = 30 * time.Second // after the guest was asked: it flushes its data
	powerPatience = 10 * time.Second // after the power button
	quitPatience  = 3 * time.Second  // after QEMU was told to quit
)

// Machine is a running virtual machine. Its methods may be called from any
// goroutine.
type Machine struct {
	cfg     Config
	cmd     *exec.Cmd
	stderr  bounded
	dir     string // private: sockets, and the console unless it has a name
	console string
	lock    *os.File // on the data disk
	ports   []net.Conn

	mu       sync.Mutex
	qmpConn  net.Conn
	qmp      *qmp
	shutdown string // QEMU's reason for the machine's shutdown
	internal bool   // the accelerator failed
	killed   bool   // by us, without the guest's consent

	stalled      string // why the disk cannot be written; "" while it can
	stalledSince time.Time

	ended chan struct{}
	err   error    // set before ended is closed
	last  []string // of the console, likewise
}

// Pid returns QEMU's process id.
func (m *Machine) Pid() int { return m.cmd.Process.Pid }

// Port returns the host's end of the virtio-serial port of that name, which
// belongs to the caller; nil when Config.Ports has no such name.
func (m *Machine) Port(name string) net.Conn {
	for i, n := range m.cfg.Ports {
		if n == name {
			return m.ports[i]
		}
	}
	return nil
}

// Ended is closed when QEMU has ended.
func (m *Machine) Ended() <-chan struct{} { return m.ended }

// Wait blocks until QEMU has ended. It returns nil when the guest powered off
// and an *ExitError otherwise.
func (m *Machine) Wait() error {
	<-m.ended
	return m.err
}

// ConsoleTail returns the last lines of the serial console.
func (m *Machine) ConsoleTail() []string {
	select {
	case <-m.ended:
		return m.last
	default:
		return lastLines(tail(m.console))
	}
}

// Status returns QEMU's name for the machine's state, such as "running" or
// "internal-error".
func (m *Machine) Status(ctx context.Context) (string, error) {
	q := m.monitor()
	if q == nil {
		return "", errQMPClosed
	}
	var s struct {
		Status string `json:"status"`
	}
	err := q.execute(ctx, "query-status", nil, &s)
	return s.Status, err
}

// PressPowerButton makes the guest see an ACPI power button event.
func (m *Machine) PressPowerButton(ctx context.Context) error {
	q := m.monitor()
	if q == nil {
		return errQMPClosed
	}
	return q.execute(ctx, "system_powerdown", nil, nil)
}

// Stop ends the machine. It calls ask, which asks the guest to power off in
// whatever way host and guest have agreed upon (nil skips this step), then
// presses the power button, then tells QEMU to quit, then kills it, and waits
// after each step. When ctx ends, or the guest has been waiting for its disk (see
// Config.OnStall), the steps that need the guest are skipped. It returns nil when the guest powered off, ErrKilled in an *ExitError when it did
// not, and Wait's error when the machine had died before.
func (m *Machine) Stop(ctx context.Context, ask func(context.Context) error) error {
	if ask != nil {
		if m.try(ctx, stopPatience, ask) {
			return m.Wait()
		}
		m.cfg.Logger.Warn("the guest does not stop when asked; pressing the power button")
	}
	if m.try(ctx, powerPatience, m.PressPowerButton) {
		return m.Wait()
	}
	m.mu.Lock()
	m.killed = true
	m.mu.Unlock()
	m.cfg.Logger.Warn("the guest does not react to the power button; ending QEMU")
	if !m.try(context.WithoutCancel(ctx), quitPatience, m.quit) {
		m.kill()
	}
	return m.Wait()
}

// try takes one step of Stop and reports whether the machine ended within d. A
// step that fails at once ends the waiting, unless the machine ends with it.
func (m *Machine) try(ctx context.Context, d time.Duration, step func(context.Context) error) bool {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	taken := make(chan error, 1)
	go func() { taken <- step(ctx) }()
	look := time.NewTicker(500 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			if m.hopeless() {
				return false
			}
		case <-m.ended:
			return true
		case err := <-taken:
			if err != nil {
				var afterwards context.CancelFunc
				ctx, afterwards = context.WithTimeout(ctx, 200*time.Millisecond)
				defer afterwards()
			}
			taken = nil
		case <-ctx.Done():
			return false
		}
	}
}

func (m *Machine) quit(ctx context.Context) error {
	q := m.monitor()
	if q == nil {
		return errQMPClosed
	}
	return q.execute(ctx, "quit", nil, nil)
}

// Kill ends QEMU at once; the guest loses what it has not synced.
func (m *Machine) Kill() error {
	m.kill()
	return m.Wait()
}

func (m *Machine) kill() {
	m.mu.Lock()
	m.killed = true
	m.mu.Unlock()
	m.cmd.Process.Kill() // an error means that it has ended
}

func (m *Machine) monitor() *qmp {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.qmp
}

func (m *Machine) setQMP(q *qmp) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.qmp = q
}

// event takes what QEMU reports by itself.
func (m *Machine) event(e qmpEvent) {
	m.cfg.Logger.Debug("QEMU event", "event", e.Event, "data", string(e.Data))
	switch e.Event {
	case "SHUTDOWN":
		var d struct {
			Reason string `json:"reason"`
		}
		if json.Unmarshal(e.Data, &d) == nil {
			m.mu.Lock()
			m.shutdown = d.Reason
			m.mu.Unlock()
		}
	case "STOP":
		go m.checkInternalError()
	case "BLOCK_IO_ERROR":
		m.blockError(e.Data)
	}
}

// checkInternalError ends a machine whose accelerator has failed: QEMU stops
// it and keeps it for inspection.
func (m *Machine) checkInternalError() {
	ctx, cancel := context.WithTimeout(context.Background(), quitPatience)
	defer cancel()
	s, err := m.Status(ctx)
	if err != nil || s != "internal-error" {
		return
	}
	m.mu.Lock()
	m.internal = true
	m.mu.Unlock()
	m.cmd.Process.Kill()
}

// finish runs when the process has ended: it finds out why and cleans up.
func (m *Machine) finish(waited error) {
	if q := m.monitor(); q != nil {
		select { // QEMU's last events may still be on their way to us
		case <-q.closed:
		case <-time.After(time.Second):
		}
	}
	console := tail(m.console)
	m.last = lastLines(console)
	m.mu.Lock()
	m.err = m.cause(waited, console)
	m.mu.Unlock()
	m.release()
	close(m.ended)
}

// cause turns the process's end into an error. The lock is held.
func (m *Machine) cause(waited error, console []byte) error {
	switch {
	case m.internal:
		return &ExitError{Cause: ErrAccelerator, Detail: m.cfg.Accel.Kind.String() + " stopped with an internal error", Remedy: "start it with TCG", Console: m.last}
	case m.shutdown == "guest-shutdown" && waited == nil:
		return nil
	case m.killed && m.stalled != "":
		return &ExitError{Cause: ErrKilled, Detail: "its disk could not be written (" + m.stalled + ")", Remedy: "make room on the host", Console: m.last}
	case m.killed:
		return &ExitError{Cause: ErrKilled, Detail: "what the guest had not written to its disk is lost", Console: m.last}
	case m.shutdown == "guest-reset" || m.shutdown == "guest-panic":
		return guestFailure(console)
	}
	status := "exit status 0"
	if waited != nil {
		status = waited.Error()
	}
	e := emulatorFailure(m.stderr.String(), status)
	if m.shutdown != "" {
		e.Detail = fmt.Sprintf("%s (%s)", e.Detail, m.shutdown)
	}
	e.Console = m.last
	return e
}

// release gives back everything but the process, and the ports, which belong
// to the caller once Start has succeeded.
func (m *Machine) release() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.qmp != nil {
		m.qmp.close()
	} else if m.qmpConn != nil {
		m.qmpConn.Close()
	}
	if m.lock != nil {
		m.lock.Close()
		m.lock = nil
	}
	if m.dir != "" {
		os.RemoveAll(m.dir)
	}
}

package guest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"arpeggio/internal/control"
)

// defaultGrace is long enough for a store to flush under TCG on a busy host.
const defaultGrace = 20 * time.Second

// initialPIDNamespace is what the link shows in a machine's first PID namespace
// (PROC_PID_INIT_INO, 0xeffffffc, of the kernel's include/linux/proc_ns.h).
const initialPIDNamespace = "pid:[4026531836]"

// IsInit reports whether this process is the first of a machine. The first
// process of a container has the same id and must not mount or power off
// anything; what tells it apart is its PID namespace. A machine's first process
// has no /proc before it mounts one.
func IsInit() bool {
	if os.Getpid() != 1 {
		return false
	}
	ns, err := os.Readlink("/proc/self/ns/pid")
	return errors.Is(err, fs.ErrNotExist) || ns == initialPIDNamespace
}

// Run does the duties of the first process and calls serve, whose context ends
// when the machine is to stop. When serve returns, the machine powers off: Run
// only returns, with an error, when this process is not the first one.
func Run(cfg Config, serve func(context.Context, Env) error) error {
	if !IsInit() {
		return errors.New("guest: this process is not the first of a machine")
	}
	if cfg.Grace == 0 {
		cfg.Grace = defaultGrace
	}
	m := &machine{cfg: cfg, console: os.Stderr}
	m.report(m.run(serve))
	m.powerOff()
	return nil
}

// machine is the state of the duties.
type machine struct {
	cfg     Config
	console *os.File
	env     Env
	log     *logForwarder
	mounted string // the data disk's mount point
}

// run does everything between the mounts and the end of serve.
func (m *machine) run(serve func(context.Context, Env) error) error {
	if err := mountKernel(); err != nil {
		return err
	}
	cmdline, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	params, err := ParseParams(string(cmdline))
	if err != nil {
		return &Fatal{err.Error(), "correct the machine's parameters"}
	}
	if err := verify(params); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	m.env = Env{Params: params, console: m.console, boot: bootTime()}
	if err := m.talk(cancel); err != nil {
		return err
	}
	clock := setClock(params.Time)
	m.env.Logger = m.logger()
	if clock != nil {
		m.env.Logger.Warn("clock", "error", clock)
	}
	m.env.Memory = limitMemory()
	go reap()
	watchSignals(cancel)
	watchPowerButton(cancel, m.env.Logger)
	if m.env.Card, err = findCard(); err != nil {
		return err
	}
	if m.env.DataDir, err = openData(params.Data, m.env.Logger); err != nil {
		return err
	}
	m.mounted = m.env.DataDir
	m.env.DataBytes = fileSystemSize(m.env.DataDir)
	return m.serve(ctx, serve)
}

// talk opens the control port and says hello.
func (m *machine) talk(cancel context.CancelCauseFunc) error {
	ctrl, export, err := openPorts()
	if err != nil || ctrl == nil {
		return err
	}
	m.env.Control = control.NewGuest(ctrl, export, control.GuestConfig{
		Stop: func(reason string) { cancel(fmt.Errorf("the host asked: %s", reason)) },
	})
	if err := m.env.Control.Hello(m.cfg.Version); err != nil {
		m.say("nobody listens at the control port: " + err.Error())
	}
	return nil
}

func (m *machine) logger() *slog.Logger {
	level := slog.LevelInfo
	if m.env.Params.Debug {
		level = slog.LevelDebug
	}
	opts := &slog.HandlerOptions{Level: level}
	m.log = newLogForwarder(m.env.Control)
	return slog.New(slog.NewMultiHandler(slog.NewTextHandler(m.console, opts), m.log.handler(opts)))
}

// serve runs the server; a panic in it becomes an error, and one that does not
// return in time is left behind.
func (m *machine) serve(ctx context.Context, serve func(context.Context, Env) error) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				fmt.Fprintf(m.console, "arpeggio: panic: %v\n%s", r, debug.Stack())
				done <- &Fatal{fmt.Sprintf("the server panicked: %v", r), "the console has the stack; please report it"}
			}
		}()
		done <- serve(ctx, m.env)
	}()
	select {
	case err := <-done:
		return m.stopped(ctx, err)
	case <-ctx.Done():
	}
	m.say("stopping: " + context.Cause(ctx).Error())
	select {
	case err := <-done:
		return m.stopped(ctx, err)
	case <-time.After(m.cfg.Grace):
		return &Fatal{fmt.Sprintf("the server did not stop within %v", m.cfg.Grace), "what it had not written is lost; please report it"}
	}
}

// stopped drops the error that only says that the server was told to stop.
func (m *machine) stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx))) {
		return nil
	}
	return err
}

func (m *machine) say(s string) { fmt.Fprintln(m.console, "arpeggio: "+s) }

// report tells people and host why the machine gives up.
func (m *machine) report(err error) {
	if err == nil {
		return
	}
	f, ok := errors.AsType[*Fatal](err)
	if !ok {
		f = &Fatal{Message: err.Error()}
	}
	m.say("fatal: " + f.Message)
	if f.Remedy != "" {
		m.say("remedy: " + f.Remedy)
	}
	if m.env.Control == nil { // too early for a hello, and the host waits for a word
		if m.talk(func(error) {}) != nil {
			return
		}
	}
	m.env.Control.Send(control.Message{Type: control.TypeFatal, Fatal: &control.Fatal{Message: f.Message, Remedy: f.Remedy}})
}

// powerOff ends the machine. The data disk is clean when "stopped" goes out.
func (m *machine) powerOff() {
	unix.Sync()
	if m.mounted != "" {
		if err := unmountData(m.mounted); err != nil {
			m.say("data disk: " + err.Error())
		}
	}
	m.log.close()
	m.say("power off")
	m.env.Control.Send(control.Message{Type: control.TypeStopped})
	unix.Sync()
	err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	m.say("cannot power off: " + err.Error())
	// Returning would end the first process and make the kernel panic, which
	// with panic=-1 resets the machine: the next best end.
}

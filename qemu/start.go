package qemu

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// startLimit is how long QEMU may take to connect to its sockets. It needs
// 0.2 s on an idle host.
const startLimit = 20 * time.Second

// maxSocketPath is the longest path of a Unix socket in octets: sun_path has
// 108 on Linux and 104 on the BSDs and macOS, with a terminating zero.
const maxSocketPath = 103

// checkSocketPath reports a path that the system cannot bind or connect to.
func checkSocketPath(path string) error {
	if path == "" {
		return errors.New("qemu: no socket given for the stream network")
	}
	if len(path) > maxSocketPath {
		return fmt.Errorf("qemu: socket path %s has %d octets, the system takes %d; use a shorter directory (TMPDIR)", path, len(path), maxSocketPath)
	}
	return nil
}

// Start starts a machine and returns when QEMU runs it; the guest is then about
// to boot. The context bounds the start only. Errors of the configuration are
// plain; those of QEMU are *ExitError.
func Start(ctx context.Context, config Config) (*Machine, error) {
	cfg, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	if cfg.Binary == "" {
		if cfg.Binary, err = FindBinary(); err != nil {
			return nil, err
		}
	}
	if err := cfg.checkHost(); err != nil {
		return nil, err
	}
	m := &Machine{cfg: cfg, ended: make(chan struct{})}
	if err := m.start(ctx); err != nil {
		m.release()
		for _, c := range m.ports {
			c.Close()
		}
		return nil, err
	}
	return m, nil
}

// checkHost finds what would make QEMU or the guest fail later and worse.
func (c *Config) checkHost() error {
	info, err := os.Stat(c.Initrd)
	if err != nil {
		return fmt.Errorf("qemu: initramfs: %w", err)
	}
	if need := LeastMemory(info.Size()); c.Memory < need {
		return fmt.Errorf("qemu: %w: %d MiB for the guest, this initramfs needs at least %d; give it more", ErrMemory, c.Memory, need)
	}
	if have, ok := availableMemory(); ok && have < c.Memory {
		return fmt.Errorf("qemu: %w: the host has %d MiB available, the machine is to get %d; close other programs or give it less", ErrMemory, have, c.Memory)
	}
	if c.Net.Kind != NetUser {
		return nil
	}
	for _, f := range c.Net.Forwards {
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(f.Host))
		if err != nil {
			return fmt.Errorf("qemu: %w: %v (%w); stop the program that uses it or publish on another port", ErrPortInUse, f.Host, err)
		}
		l.Close()
	}
	return nil
}

// LeastMemory returns how many MiB a guest needs to boot an initramfs of that
// many octets. The kernel takes 48 MiB before /init runs, the archive stays in
// memory while it is unpacked, and the files may fill half of the rest. With
// less, the kernel cuts files off and runs what there is. A program needs more
// to work.
func LeastMemory(initrd int64) int {
	return max(96, 64+3*int((initrd+1<<20-1)>>20))
}

func (m *Machine) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if m.cfg.Disk.Path != "" {
		lock, err := LockDisk(m.cfg.Disk.Path)
		if err != nil {
			return err
		}
		m.lock = lock
	}
	s, listeners, err := m.listen()
	defer func() {
		for _, l := range listeners {
			l.Close()
		}
	}()
	if err != nil {
		return err
	}
	m.console = s.console
	if err := m.spawn(m.cfg.args(s)); err != nil {
		return err
	}
	// From here on the process exists; whatever fails ends it.
	err = m.connect(ctx, listeners)
	if err == nil {
		return nil
	}
	select {
	case <-m.ended:
	case <-time.After(time.Second): // QEMU may be about to say why
		m.kill()
		<-m.ended
	}
	if failed := m.Wait(); failed != nil && !errors.Is(failed, ErrKilled) {
		return failed
	}
	return err
}

// listen makes the private directory and the sockets in it.
func (m *Machine) listen() (s sockets, ls []*net.UnixListener, err error) {
	m.dir, err = os.MkdirTemp("", "arpeggio-vm-")
	if err != nil {
		return s, nil, fmt.Errorf("qemu: private directory: %w", err)
	}
	s.qmp = filepath.Join(m.dir, "qmp")
	for i := range m.cfg.Ports {
		s.ports = append(s.ports, filepath.Join(m.dir, fmt.Sprintf("port%d", i)))
	}
	s.console = m.cfg.Console
	if s.console == "" {
		s.console = filepath.Join(m.dir, "console")
	}
	f, err := os.Create(s.console) // so that no older machine's is ever shown
	if err != nil {
		return s, nil, fmt.Errorf("qemu: console: %w", err)
	}
	f.Close()
	for _, path := range append([]string{s.qmp}, s.ports...) {
		if err := checkSocketPath(path); err != nil {
			return s, ls, err
		}
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			return s, ls, fmt.Errorf("qemu: %w", err)
		}
		ls = append(ls, l)
	}
	return s, ls, nil
}

// spawn starts QEMU from a thread that lives as long as the process: the
// child's death signal is tied to the thread, not to the program.
func (m *Machine) spawn(args []string) error {
	m.cmd = exec.Command(m.cfg.Binary, args...)
	m.cmd.SysProcAttr = childAttributes()
	m.cmd.Stderr = &m.stderr
	m.cmd.Stdout = &m.stderr
	m.cfg.Logger.Debug("starting QEMU", "command", m.cfg.Binary+" "+strings.Join(args, " "))
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := m.cmd.Start()
		started <- err
		if err == nil {
			m.finish(m.cmd.Wait())
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("qemu: %w", err)
	}
	return nil
}

// connect accepts QEMU's connections, QMP's first.
func (m *Machine) connect(ctx context.Context, ls []*net.UnixListener) error {
	stop := make(chan struct{})
	defer close(stop)
	go func() { // a process that ends will not connect any more
		select {
		case <-ctx.Done():
		case <-m.ended:
		case <-stop:
			return
		}
		for _, l := range ls {
			l.SetDeadline(time.Unix(1, 0))
		}
	}()
	for i, l := range ls {
		c, err := l.Accept()
		if err != nil {
			return errors.Join(fmt.Errorf("qemu: QEMU does not connect to its sockets: %w", err), context.Cause(ctx))
		}
		if i > 0 {
			m.ports = append(m.ports, c)
			continue
		}
		m.mu.Lock() // QEMU may be ending, which closes it
		m.qmpConn = c
		m.mu.Unlock()
	}
	q, err := newQMP(ctx, m.qmpConn, m.event)
	if err != nil {
		return err
	}
	m.setQMP(q)
	return nil
}

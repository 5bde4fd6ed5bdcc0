package qemu

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"arpeggio/internal/testproc"
)

// emulator makes a stand-in for QEMU of a shell script.
func emulator(t *testing.T, script string) Config {
	t.Helper()
	c := files(t)
	c.Binary = filepath.Join(t.TempDir(), Emulator)
	if err := os.WriteFile(c.Binary, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return c
}

// realMachine configures a machine of the real emulator and kernel with an
// empty initramfs: it starts, and its kernel finds nothing to run.
func realMachine(t *testing.T) Config {
	t.Helper()
	if _, err := FindBinary(); err != nil {
		t.Skip(err)
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/gokrazy/kernel.amd64").Output()
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		t.Skip("the kernel's module is not downloaded: go mod download github.com/gokrazy/kernel.amd64")
	}
	c := files(t)
	c.Kernel = filepath.Join(dir, "vmlinuz")
	c.Cmdline = "console=ttyS0 quiet panic=-1"
	c.Memory = 128
	if err := os.WriteFile(c.Initrd, make([]byte, 512), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

func start(t *testing.T, c Config) *Machine {
	t.Helper()
	m, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Kill() })
	return m
}

func TestStartReportsWhatQEMUSays(t *testing.T) {
	_, err := Start(t.Context(), emulator(t, "echo \"Could not set up host forwarding rule 'x'\" >&2; exit 1"))
	if e, ok := errors.AsType[*ExitError](err); !ok || !errors.Is(err, ErrPortInUse) || e.Remedy == "" {
		t.Errorf("got %v", err)
	}
	_, err = Start(t.Context(), emulator(t, "exit 3"))
	if !errors.Is(err, ErrEmulator) || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v", err)
	}
	c := emulator(t, "")
	c.Binary += "x"
	if _, err = Start(t.Context(), c); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestStartIsBounded(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	c := emulator(t, "echo $$ >"+pid+"; exec sleep 600")
	var b []byte
	// A busy machine needs longer than that to start a process.
	for limit := 100 * time.Millisecond; len(b) == 0 && limit < 2*time.Minute; limit *= 2 {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		if _, err := Start(ctx, c); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		b, _ = os.ReadFile(pid)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(n, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the emulator still runs: %v", err)
	}
}

func TestStartRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(disk, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	lock, err := LockDisk(disk)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	for _, k := range []struct {
		name   string
		change func(*Config)
		cause  error
		says   string
	}{
		{"port in use", func(c *Config) {
			c.Net = Net{Kind: NetUser, Forwards: []Forward{{netip.MustParseAddrPort(taken.Addr().String()), 80}}}
		}, ErrPortInUse, taken.Addr().String()},
		{"little guest memory", func(c *Config) { c.Memory = 64 }, ErrMemory, "at least 96"},
		{"little host memory", func(c *Config) { c.Memory = 1 << 30 }, ErrMemory, ""},
		{"disk in use", func(c *Config) { c.Disk.Path = disk }, ErrDiskInUse, disk},
		{"missing disk", func(c *Config) { c.Disk.Path = disk + "x" }, nil, "create one"},
	} {
		t.Run(k.name, func(t *testing.T) {
			if _, known := availableMemory(); !known && k.name == "little host memory" {
				t.Skip("this system does not tell its memory")
			}
			c := emulator(t, "exec sleep 60")
			k.change(&c)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := Start(ctx, c)
			if err == nil || k.cause != nil && !errors.Is(err, k.cause) || !strings.Contains(err.Error(), k.says) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestLockNamesItsHolder(t *testing.T) {
	if _, err := os.Stat("/proc/locks"); err != nil {
		t.Skip("this system does not list locks")
	}
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(disk, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	lock, err := LockDisk(disk)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LockDisk(disk); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("(process %d)", os.Getpid())) {
		t.Errorf("got %v", err)
	}
	lock.Close()
	again, err := LockDisk(disk)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestMachineOfItsOwn(t *testing.T) {
	c := realMachine(t)
	c.Disk.Path = filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(c.Disk.Path, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Ports = []string{"one", "two"}
	c.Net.Kind = NetUser
	m := start(t, c)
	if s, err := m.Status(t.Context()); err != nil || s != "running" {
		t.Errorf("status %q, %v", s, err)
	}
	if m.Port("one") == nil || m.Port("one") == m.Port("two") || m.Port("three") != nil {
		t.Error("ports are mixed up")
	}
	if g, err := syscall.Getpgid(m.Pid()); err != nil || g != m.Pid() {
		t.Errorf("process group %d, %v: the terminal's Ctrl-C would reach QEMU", g, err)
	}
	// The guest cannot react yet, and nobody waits for it: QEMU quits.
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	asked := make(chan struct{})
	err := m.Stop(gone, func(context.Context) error { close(asked); return errors.New("no") })
	if !errors.Is(err, ErrKilled) {
		t.Errorf("stop: %v", err)
	}
	<-asked
	if _, err := os.Stat(m.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the private directory is still there: %v", err)
	}
	if l, err := LockDisk(c.Disk.Path); err != nil {
		t.Errorf("the disk is still locked: %v", err)
	} else {
		l.Close()
	}
	if err := m.PressPowerButton(t.Context()); err == nil {
		t.Error("a machine that has ended has a power button")
	}
}

func TestUnbootableKernel(t *testing.T) {
	c := realMachine(t)
	c.Kernel = c.Initrd
	if _, err := Start(t.Context(), c); !errors.Is(err, ErrEmulator) || !strings.Contains(err.Error(), "bzImage") {
		t.Errorf("got %v", err)
	}
}

func TestGuestThatPanics(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a virtual machine; not with -short")
	}
	m := start(t, realMachine(t))
	select {
	case <-m.Ended():
	case <-time.After(2 * time.Minute):
		t.Fatalf("it does not end:\n%s", strings.Join(m.ConsoleTail(), "\n"))
	}
	err := m.Wait()
	if e, ok := errors.AsType[*ExitError](err); !ok || !errors.Is(err, ErrGuestDied) || len(e.Console) == 0 || len(m.ConsoleTail()) == 0 {
		t.Errorf("got %v", err)
	}
}

// TestKVMThatCannotRun uses KVM against the probe's advice: whether it cannot be
// opened or opens and fails later, the caller learns that TCG is the way.
func TestKVMThatCannotRun(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a virtual machine; not with -short")
	}
	if a := Probe(t.Context()); a.Kind == KVM {
		t.Skip(a.Reason)
	}
	c := realMachine(t)
	c.Accel.Kind = KVM
	m, err := Start(t.Context(), c)
	if err == nil {
		t.Cleanup(func() { m.Kill() })
		select {
		case <-m.Ended():
			err = m.Wait()
		case <-time.After(30 * time.Second):
			t.Skip("KVM interprets the guest slowly and has not failed")
		}
	}
	if e, ok := errors.AsType[*ExitError](err); !ok || !errors.Is(err, ErrAccelerator) || !strings.Contains(e.Remedy, "TCG") {
		t.Errorf("got %v", err)
	}
}

// TestMachineDiesWithItsParent kills a process that has started a machine.
func TestMachineDiesWithItsParent(t *testing.T) {
	const role = "ARPEGGIO_TEST_PARENT"
	if os.Getenv(role) != "" {
		m := start(t, realMachine(t))
		fmt.Printf("qemu is %d\n", m.Pid())
		<-m.Ended()
		return
	}
	if _, err := os.Stat("/proc/self"); err != nil {
		t.Skip("this system does not tie a child's life to its parent's")
	}
	realMachine(t)
	parent := exec.Command(os.Args[0], "-test.run=^TestMachineDiesWithItsParent$", "-test.v")
	// A killed parent leaves its private directory behind. The name is short for
	// the sockets' sake.
	dir, err := os.MkdirTemp("", "p")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	parent.Env = append(os.Environ(), role+"=1", "TMPDIR="+dir)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := testproc.Start(parent); err != nil {
		t.Fatal(err)
	}
	pid := 0
	for s := bufio.NewScanner(out); pid == 0 && s.Scan(); {
		fmt.Sscanf(s.Text(), "qemu is %d", &pid) // other lines are not it
	}
	if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err != nil || !strings.HasPrefix(string(name), "qemu") {
		t.Errorf("process %d is not QEMU: %q %v", pid, name, err)
	}
	parent.Process.Kill()
	parent.Wait() // says that it was killed
	if pid == 0 {
		t.Fatal("the parent started no machine")
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		// Who inherits the dead process may take its time to collect it.
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(end) {
			syscall.Kill(pid, syscall.SIGKILL)
			t.Fatal("QEMU outlives the process that started it")
		}
	}
}

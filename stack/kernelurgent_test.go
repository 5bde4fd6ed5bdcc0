//go:build linux

package stack_test

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
)

// Urgent data in both directions between us and the kernel's sockets.
func TestKernelUrgent(t *testing.T) {
	s, ns, _ := onTAP(t, true, false)
	c, ours := meet(t, s, ns)
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	kernel := func(f func(fd int) error) (err error) {
		_ = raw.Control(func(fd uintptr) { err = f(int(fd)) })
		return err
	}
	exactly := func(c net.Conn, want string) {
		t.Helper()
		buf := make([]byte, len(want))
		if n, err := io.ReadFull(c, buf); string(buf[:n]) != want {
			t.Fatalf("%q, %v, want %q", buf[:n], err, want)
		}
	}

	// From the kernel, apart from the stream.
	news := make(chan struct{}, 1)
	if err := errors.Join(ours.NotifyUrgent(news), ours.SetUrgentInline(false)); err != nil {
		t.Fatal(err)
	}
	if _, err := ours.ReadUrgent(); !errors.Is(err, syscall.EINVAL) {
		t.Fatalf("nothing is urgent: %v", err)
	}
	if err := kernel(func(fd int) error { return syscall.Sendto(fd, []byte("beforeX"), syscall.MSG_OOB, nil) }); err != nil {
		t.Fatal(err)
	}
	_, _ = c.Write([]byte("after"))
	<-news
	exactly(ours, "before")
	exactly(ours, "after")
	for _, read := range []func() (byte, error){ours.PeekUrgent, ours.PeekUrgent, ours.ReadUrgent} {
		if b, err := read(); b != 'X' || err != nil {
			t.Fatalf("%q, %v", b, err)
		}
	}

	// To the kernel.
	if n, err := ours.WriteUrgent([]byte("stopY")); n != 5 || err != nil {
		t.Fatal(n, err)
	}
	_, _ = ours.Write([]byte("go on"))
	exactly(c, "stop")
	buf := make([]byte, 1)
	if err := kernel(func(fd int) error {
		_, _, err := syscall.Recvfrom(fd, buf, syscall.MSG_OOB)
		return err
	}); err != nil || buf[0] != 'Y' {
		t.Fatalf("%q, %v", buf, err)
	}
	exactly(c, "go on")
}

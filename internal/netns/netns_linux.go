package netns

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Namespace is a network namespace whose kernel says nothing unasked: it has no
// IPv6.
type Namespace struct{ Name string }

// made numbers the namespaces of this process.
var made atomic.Int32

// ErrUnavailable is wrapped by the error of New where there can be none.
var ErrUnavailable = errors.New("no network namespaces here")

// New makes a namespace. Close it.
func New() (*Namespace, error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("%w: they need root", ErrUnavailable)
	}
	n := &Namespace{fmt.Sprintf("arpeggio-%d-%d", os.Getpid(), made.Add(1))}
	if out, err := exec.Command("ip", "netns", "add", n.Name).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: ip netns add: %w: %s", ErrUnavailable, err, out)
	}
	err := n.Do(func() error {
		for _, which := range []string{"all", "default"} {
			// A kernel without IPv6 has no such file.
			_ = os.WriteFile("/proc/sys/net/ipv6/conf/"+which+"/disable_ipv6", []byte("1"), 0)
		}
		return nil
	})
	if err = errors.Join(err, n.IP("link", "set", "lo", "up")); err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

// Pair makes two namespaces with a cable between the interfaces near, of the
// first one, and far, of the second. Both are up, and carry frames.
func Pair(near, far string) (a, b *Namespace, err error) {
	if a, err = New(); err != nil {
		return nil, nil, err
	}
	if b, err = New(); err == nil {
		err = errors.Join(a.IP("link", "add", near, "type", "veth", "peer", "name", far, "netns", b.Name),
			a.IP("link", "set", near, "up"), b.IP("link", "set", far, "up"), a.WaitUp(near))
	}
	if err != nil {
		a.Close()
		if b != nil {
			b.Close()
		}
		return nil, nil, err
	}
	return a, b, nil
}

// IP runs ip(8) in the namespace.
func (n *Namespace) IP(args ...string) error {
	out, err := exec.Command("ip", append([]string{"-n", n.Name}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// upLimit is how long the kernel may take to notice a cable, on a busy machine.
const upLimit = time.Minute

// WaitUp returns when the kernel has noticed that the cable of an interface is
// in. It does so on its own time, and drops without a word what it is to send
// before. Of a pair's two ends only the one that was up first has to wait for
// that; the other's state follows within a second, and says nothing.
func (n *Namespace) WaitUp(name string) error {
	for end := time.Now().Add(upLimit); ; time.Sleep(5 * time.Millisecond) {
		out, err := exec.Command("ip", "-n", n.Name, "-o", "link", "show", "dev", name).CombinedOutput()
		switch {
		case err != nil:
			return fmt.Errorf("ip link show %s: %w: %s", name, err, out)
		case bytes.Contains(out, []byte(" state UP ")):
			return nil
		case time.Now().After(end):
			return fmt.Errorf("%s has no carrier after %v: %s", name, upLimit, out)
		}
	}
}

// Command is exec.Command for a program that runs in the namespace.
func (n *Namespace) Command(name string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", n.Name, name}, args...)...)
}

// Do runs fn on a thread that is in the namespace. What fn opens stays there. It
// returns also when fn ends its goroutine, as a failing test does.
func (n *Namespace) Do(fn func() error) (err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		var fd int
		if fd, err = unix.Open("/run/netns/"+n.Name, unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			unix.Close(fd)
		}
		if err != nil {
			err = fmt.Errorf("enter namespace %s: %w", n.Name, err)
			return
		}
		err = fn()
	}()
	<-done
	return err
}

// Close removes the namespace and its interfaces.
func (n *Namespace) Close() error { return exec.Command("ip", "netns", "delete", n.Name).Run() }

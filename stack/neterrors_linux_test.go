package stack_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"arpeggio/internal/netns"
	"arpeggio/stack/vnet"
)

// differences are those we want.
var differences = map[string]string{
	"listener deadline closed": "package net does not wrap this one error in a *net.OpError",
}

var ports = regexp.MustCompile(`:\d{4,5}\b`)

// shape is all that programs look at.
func shape(err error) string {
	if err == nil {
		return "nil"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%q", ports.ReplaceAllString(err.Error(), ":P"))
	for e := err; e != nil; e = errors.Unwrap(e) {
		switch v := e.(type) {
		case *net.OpError:
			fmt.Fprintf(&b, " OpError(%s %s, source %t, addr %t)", v.Op, v.Net, v.Source != nil, v.Addr != nil)
		case *os.SyscallError:
			fmt.Fprintf(&b, " SyscallError(%s)", v.Syscall)
		case syscall.Errno:
			fmt.Fprintf(&b, " errno %d", int(v))
		case *net.AddrError, *net.DNSError, net.UnknownNetworkError:
			fmt.Fprintf(&b, " %T", v)
		}
	}
	var ne net.Error
	fmt.Fprintf(&b, "; net.Error %t", errors.As(err, &ne))
	if ne != nil {
		fmt.Fprintf(&b, ", timeout %t", ne.Timeout())
	}
	for _, s := range []error{net.ErrClosed, context.Canceled, context.DeadlineExceeded, os.ErrDeadlineExceeded, net.ErrWriteToConnected} {
		if errors.Is(err, s) { // a dial of ours that takes too long is two of them
			fmt.Fprintf(&b, ", is %q", s)
			break
		}
	}
	return b.String()
}

func shapes(t *testing.T, f face) map[string]string {
	out := map[string]string{}
	for _, m := range slices.Concat(misuses, misusesMore) {
		tb := &table{t: t, face: f}
		out[m.name] = shape(m.do(tb))
		for _, c := range tb.closers {
			_ = c()
		}
	}
	return out
}

// Every misuse gives the error that package net gives on the kernel's sockets: the
// same text, operation, errno and kind.
func TestErrorsAreTheKernels(t *testing.T) {
	ns, err := netns.New()
	if errors.Is(err, netns.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	if err := ns.IP("addr", "add", "10.0.0.1/32", "dev", "lo"); err != nil {
		t.Fatal(err)
	}
	var want map[string]string
	if err := ns.Do(func() error { want = shapes(t, kernelFace{}); return nil }); err != nil {
		t.Fatal(err)
	}
	l := newLAN(t, 1, vnet.PortConfig{})
	defer l.close()
	got := shapes(t, l.stacks[0])
	for _, m := range slices.Concat(misuses, misusesMore) {
		if why, ok := differences[m.name]; ok == (got[m.name] != want[m.name]) {
			continue
		} else if ok {
			t.Errorf("%s: no difference any more (%s)", m.name, why)
		}
		t.Errorf("%s\n ours   %s\n kernel %s", m.name, got[m.name], want[m.name])
	}
}

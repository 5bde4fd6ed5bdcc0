package kernelneigh

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/sys/unix"

	"arpeggio/arp"
	"arpeggio/arp/arptest"
	"arpeggio/internal/netns"
	"arpeggio/site"
	"arpeggio/stack"
	"arpeggio/stack/ethernet"
	"arpeggio/tuntap"
)

// The wire of these tests: in ns, the card va of a kernel that is 10.9.0.3 and
// shares it with our stack, 10.9.0.2; in peer, the card vb of one that is
// 10.9.0.1.
var (
	ourMAC   = ethernet.MustParseAddr("02:50:00:00:00:02")
	peerMAC  = ethernet.MustParseAddr("02:50:00:00:00:01")
	ourAddr  = netip.MustParsePrefix("10.9.0.2/24")
	peerAddr = netip.MustParseAddr("10.9.0.1")
	nobody   = netip.MustParseAddr("10.9.0.99")
)

// wires numbers the pairs of namespaces.
var wires atomic.Int32

type wire struct {
	*testing.T
	ns, peer string
}

func newWire(t *testing.T) *wire {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip (iproute2)")
	}
	w := &wire{t, fmt.Sprintf("arpeggio-kn-%d-%d", os.Getpid(), wires.Add(1)), ""}
	w.peer = w.ns + "p"
	for _, ns := range []string{w.ns, w.peer} {
		if out, err := exec.Command("ip", "netns", "add", ns).CombinedOutput(); err != nil {
			t.Skipf("cannot make a network namespace: %v: %s", err, out)
		}
		t.Cleanup(func() { exec.Command("ip", "netns", "delete", ns).Run() })
	}
	for _, c := range []string{
		"-n " + w.ns + " link add va address " + ourMAC.String() + " type veth peer name vb address " + peerMAC.String() + " netns " + w.peer,
		"-n " + w.ns + " addr add 10.9.0.3/24 dev va",
		"-n " + w.peer + " addr add 10.9.0.1/24 dev vb",
		// The kernel in ns answers for its own address only, the stack's is known.
		"-n " + w.peer + " neigh add 10.9.0.2 lladdr " + ourMAC.String() + " dev vb nud permanent",
		"-n " + w.ns + " link set va up",
		"-n " + w.peer + " link set vb up",
	} {
		if out, err := exec.Command("ip", strings.Fields(c)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", c, err, out)
		}
	}
	if err := (&netns.Namespace{Name: w.ns}).WaitUp("va"); err != nil {
		t.Fatal(err)
	}
	return w
}

// patience is how long a test waits, on a busy machine, for what must come.
const patience = time.Minute

// inside runs f on a thread that is inside the namespace.
func inside[D any](t *testing.T, ns string, f func() (D, error)) (d D) {
	t.Helper()
	err := (&netns.Namespace{Name: ns}).Do(func() (err error) {
		d, err = f()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// serve runs the site on our stack with a resolver, and fetches it as the peer.
func (w *wire) serve(r stack.Resolver) string {
	w.Helper()
	dev := inside(w.T, w.ns, func() (*tuntap.Packet, error) { return tuntap.OpenPacket(tuntap.PacketConfig{Interface: "va"}) })
	s := stack.New(stack.Config{})
	defer s.Close()
	if _, err := s.AddInterface(stack.InterfaceConfig{Device: dev, Addr: ourMAC, Resolver: r, Addresses: []netip.Prefix{ourAddr}}); err != nil {
		w.Fatal(err)
	}
	l, err := s.Listen("tcp", ":80")
	if err != nil {
		w.Fatal(err)
	}
	h, err := site.New(site.Config{FS: fstest.MapFS{"index.html": {Data: []byte("<p>the same site</p>\n")}}})
	if err != nil {
		w.Fatal(err)
	}
	server := &http.Server{Handler: h}
	ended := make(chan struct{})
	go func() { server.Serve(l); close(ended) }()
	defer func() { server.Close(); <-ended }()

	c := inside(w.T, w.peer, func() (net.Conn, error) { return net.DialTimeout("tcp", "10.9.0.2:80", patience) })
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprint(c, "GET / HTTP/1.0\r\nHost: 10.9.0.2\r\n\r\n")
	b, err := io.ReadAll(c)
	if err != nil {
		w.Fatal(err)
	}
	_, body, _ := strings.Cut(string(b), "\r\n\r\n")
	return body
}

// The seam has three sides that fit: a stack serves the same site to the same
// peer with package arp, with a fixed map, and with the kernel's neighbour
// table; and the three pass one suite.
func TestThreeResolvers(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	resolvers := map[string]func(t *testing.T) stack.Resolver{
		"arp": func(*testing.T) stack.Resolver { return arp.NewService(arp.Config{}) },
		"map": func(*testing.T) stack.Resolver { return stack.StaticResolver{peerAddr: peerMAC} },
		"kernel": func(t *testing.T) stack.Resolver {
			return inside(t, w.ns, func() (*Resolver, error) { return Open("va") })
		},
	}
	for name, open := range resolvers {
		if got := w.serve(open(t)); got != "<p>the same site</p>\n" {
			t.Errorf("with %s the peer got %q", name, got)
		}
	}
	t.Run("suite", func(t *testing.T) {
		for name, open := range resolvers {
			t.Run(name, func(t *testing.T) {
				t.Parallel() // they wait for answers that do not come
				arptest.TestLookup(t, func(t *testing.T) arptest.Neighborhood {
					r := open(t)
					if s, ok := r.(*arp.Service); ok {
						attach(t, w, s)
					}
					if c, ok := r.(stack.ResolverCloser); ok {
						t.Cleanup(func() { c.Close() })
					}
					return arptest.Neighborhood{Lookup: r, Known: map[netip.Addr]ethernet.Addr{peerAddr: peerMAC},
						Unknown: []netip.Addr{nobody}, Patience: patience}
				})
			})
		}
	})
}

// attach puts a Service behind a stack of its own, which carries its frames.
func attach(t *testing.T, w *wire, s *arp.Service) {
	t.Helper()
	dev := inside(t, w.ns, func() (*tuntap.Packet, error) { return tuntap.OpenPacket(tuntap.PacketConfig{Interface: "va"}) })
	st := stack.New(stack.Config{})
	if _, err := st.AddInterface(stack.InterfaceConfig{Device: dev, Addr: ourMAC, Resolver: s, Addresses: []netip.Prefix{ourAddr}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
}

// The kernel's table is followed: a stale entry is used and confirmed, one that
// was deleted is asked for, a closed Resolver says so.
func TestFollowsTheKernel(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	r := inside(t, w.ns, func() (*Resolver, error) { return Open("va") })
	ip := func(args string) string {
		out, err := exec.Command("ip", strings.Fields("-n "+w.ns+" "+args)...).CombinedOutput()
		if err != nil {
			t.Fatalf("ip %s: %v: %s", args, err, out)
		}
		return string(out)
	}
	other := ethernet.MustParseAddr("02:50:00:00:00:77")
	ip("neigh replace 10.9.0.50 lladdr " + other.String() + " dev va nud permanent")
	if mac, ok := r.Resolve(netip.MustParseAddr("10.9.0.50"), nil); !ok || mac != other {
		t.Errorf("a permanent entry: %v, %v", mac, ok)
	}
	ip("neigh replace 10.9.0.1 lladdr " + peerMAC.String() + " dev va nud stale")
	if mac, ok := r.Resolve(peerAddr, nil); !ok || mac != peerMAC {
		t.Errorf("a stale entry: %v, %v", mac, ok)
	}
	if got := ip("neigh show 10.9.0.1"); strings.Contains(got, "STALE") {
		t.Errorf("the kernel does not know that it is in use: %s", got)
	}
	errs := make(chan error, 1)
	done := func(_ netip.Addr, _ ethernet.Addr, err error) { errs <- err }
	r.Resolve(nobody, done)
	r.Close()
	r.Close()
	if err := <-errs; err != ErrClosed {
		t.Errorf("a question that Close overtook: %v", err)
	}
	if r.Resolve(peerAddr, done); <-errs != ErrClosed {
		t.Error("a closed Resolver answers")
	}
	if _, err := Open("nosuch0"); err == nil || !strings.Contains(err.Error(), "nosuch0") {
		t.Errorf("no such interface: %v", err)
	}
}

func FuzzParseAnswer(f *testing.F) {
	f.Add(appendRequest(nil, unix.RTM_NEWNEIGH, 0, 7, 3, 0, peerAddr), uint32(7))
	f.Add([]byte{36, 0, 0, 0, 2, 0, 0, 0, 7, 0, 0, 0}, uint32(7))
	f.Fuzz(func(t *testing.T, b []byte, seq uint32) {
		n, done, err := parseAnswer(b, seq)
		if done && err == nil && len(b) < unix.NLMSG_HDRLEN+4 {
			t.Fatalf("%x is read as %+v", b, n)
		}
	})
}

func TestParseAnswer(t *testing.T) {
	b := appendRequest(nil, unix.RTM_NEWNEIGH, 0, 7, 3, 0, peerAddr)
	b = append(b, 10, 0, unix.NDA_LLADDR, 0, 2, 0x50, 0, 0, 0, 1, 0, 0)
	b[0] = byte(len(b))
	b[unix.NLMSG_HDRLEN+8] = unix.NUD_REACHABLE
	if n, done, err := parseAnswer(b, 7); err != nil || !done || n.mac != peerMAC || n.state != unix.NUD_REACHABLE {
		t.Errorf("%+v, %v, %v", n, done, err)
	}
	if _, done, err := parseAnswer(b, 8); done || err != nil {
		t.Errorf("the answer to another question: %v, %v", done, err)
	}
	for i := range b {
		if _, done, _ := parseAnswer(b[:i], 7); done {
			t.Errorf("%d octets of %d were enough", i, len(b))
		}
	}
}

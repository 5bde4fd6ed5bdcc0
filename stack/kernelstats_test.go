//go:build linux

package stack_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"arpeggio/stack"
)

// snmp reads the kernel's counters in a namespace: "Tcp.InSegs" and so on.
func snmp(t *testing.T, ns string) map[string]uint64 {
	t.Helper()
	text := inside(t, ns, func() (string, error) {
		b, err := os.ReadFile("/proc/thread-self/net/snmp")
		return string(b), err
	})
	out := map[string]uint64{}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		names, values := strings.Fields(lines[i]), strings.Fields(lines[i+1])
		for k := 1; k < len(names) && k < len(values); k++ {
			n, _ := strconv.ParseUint(values[k], 10, 64) // MaxConn is -1
			out[strings.TrimSuffix(names[0], ":")+"."+names[k]] = n
		}
	}
	return out
}

// party is one end of an exchange.
type party struct {
	dial   func(network string, port int) (net.Conn, error)
	listen func() (net.Listener, error)   // port 80
	bind   func() (net.PacketConn, error) // port 53
	ping   func()
}

// exchange has a do to b whatever moves a counter, and returns a connection of
// a's that stays, with its end at b.
func exchange(t *testing.T, a, b party) []net.Conn {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.dial("tcp", 81); err == nil { // refused
		t.Error("a closed port answers")
	}
	ln, err := b.listen()
	must(err)
	defer ln.Close()
	pair := func() (x, y net.Conn) {
		x, err := a.dial("tcp", 80)
		must(err)
		y, err = ln.Accept()
		must(err)
		return x, y
	}
	x, y := pair() // text both ways, closed in order by a
	_, err = x.Write(make([]byte, 100))
	must(err)
	_, err = io.ReadFull(y, make([]byte, 100))
	must(err)
	_, err = y.Write(make([]byte, 100))
	must(err)
	_, err = io.ReadFull(x, make([]byte, 100))
	must(err)
	must(x.(interface{ CloseWrite() error }).CloseWrite())
	_, _ = io.ReadAll(y)
	must(y.Close())
	_, _ = io.ReadAll(x)
	must(x.Close())
	x, y = pair() // reset by a
	must(x.(interface{ SetLinger(int) error }).SetLinger(0))
	must(x.Close())
	if _, err := io.ReadAll(y); err == nil {
		t.Error("no reset came")
	}
	must(y.Close())

	u, err := b.bind()
	must(err)
	defer u.Close()
	v, err := a.dial("udp", 53)
	must(err)
	defer v.Close()
	for _, n := range []int{0, 100, 3000} { // the last one in three fragments
		_, err = v.Write(make([]byte, n))
		must(err)
		if got, _, err := u.ReadFrom(make([]byte, 4000)); got != n {
			t.Errorf("%d octets of %d, %v", got, n, err)
		}
	}
	w, err := a.dial("udp", 54) // closed
	must(err)
	defer w.Close()
	_, err = w.Write([]byte("x"))
	must(err)
	time.Sleep(50 * time.Millisecond)
	a.ping()
	x, y = pair() // stays
	return []net.Conn{x, y}
}

// Both ends do the same to each other; then the kernel's counters and ours are
// the same.
func TestKernelCountsTheSame(t *testing.T) {
	needTools(t, "ping")
	s, ns, _ := onTAP(t, false, false)
	kernel := party{
		dial: func(network string, port int) (c net.Conn, err error) {
			inside(t, ns, func() (any, error) {
				c, err = net.DialTimeout(network, fmt.Sprint("10.9.0.2:", port), time.Minute)
				return nil, nil
			})
			return c, err
		},
		listen: func() (net.Listener, error) {
			return inside(t, ns, func() (net.Listener, error) { return net.Listen("tcp", "10.9.0.1:80") }), nil
		},
		bind: func() (net.PacketConn, error) {
			return inside(t, ns, func() (net.PacketConn, error) { return net.ListenPacket("udp", "10.9.0.1:53") }), nil
		},
		ping: func() { in(t, ns, "ping", "-c", "1", "-W", "60", "10.9.0.2") },
	}
	ours := party{
		dial: func(network string, port int) (net.Conn, error) {
			return s.Dial(network, fmt.Sprint("10.9.0.1:", port))
		},
		listen: func() (net.Listener, error) { return s.Listen("tcp", ":80") },
		bind:   func() (net.PacketConn, error) { return s.ListenPacket("udp", ":53") },
		ping: func() {
			if _, err := s.Ping(t.Context(), netip.MustParseAddr("10.9.0.1"), 56); err != nil {
				t.Error(err)
			}
		},
	}
	base, was := snmp(t, ns), s.Stats()
	for _, c := range append(exchange(t, kernel, ours), exchange(t, ours, kernel)...) {
		defer c.Close()
	}
	// Delayed acknowledgments are still to come, and one snapshot is before the other.
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		wrong := countDifferences(base, snmp(t, ns), was, s.Stats())
		if len(wrong) == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal(strings.Join(wrong, "\n"))
		}
	}
}

// countDifferences compares what the kernel and we have counted since base and was.
func countDifferences(base, theirs map[string]uint64, was, st stack.Stats) (wrong []string) {
	k := func(name string) uint64 { return theirs[name] - base[name] }
	for _, tc := range []struct {
		name         string
		kernel, ours uint64
	}{
		{"tcpActiveOpens", k("Tcp.ActiveOpens"), st.TCP.ActiveOpens - was.TCP.ActiveOpens},
		{"tcpPassiveOpens", k("Tcp.PassiveOpens"), st.TCP.PassiveOpens - was.TCP.PassiveOpens},
		{"tcpAttemptFails", k("Tcp.AttemptFails"), st.TCP.AttemptFails - was.TCP.AttemptFails},
		{"tcpEstabResets", k("Tcp.EstabResets"), st.TCP.EstabResets - was.TCP.EstabResets},
		{"tcpCurrEstab", theirs["Tcp.CurrEstab"], st.TCP.CurrEstab},
		{"tcpOutRsts", k("Tcp.OutRsts"), st.TCP.OutRsts - was.TCP.OutRsts},
		{"tcpInErrs", k("Tcp.InErrs"), st.TCP.InErrs - was.TCP.InErrs},
		// On a busy machine either side may send something again.
		{"segments to us", k("Tcp.OutSegs") + k("Tcp.RetransSegs"), st.TCP.InSegs - was.TCP.InSegs},
		{"segments to the kernel", k("Tcp.InSegs"), st.TCP.OutSegs + st.TCP.RetransSegs - was.TCP.OutSegs - was.TCP.RetransSegs},
		{"udpInDatagrams", k("Udp.InDatagrams"), st.UDP.InDatagrams - was.UDP.InDatagrams},
		{"udpNoPorts", k("Udp.NoPorts"), st.UDP.NoPorts - was.UDP.NoPorts},
		{"udpInErrors", k("Udp.InErrors"), st.UDP.InErrors - was.UDP.InErrors},
		{"udpOutDatagrams", k("Udp.OutDatagrams"), st.UDP.OutDatagrams - was.UDP.OutDatagrams},
		{"icmpInMsgs", k("Icmp.InMsgs"), st.ICMP.InMsgs - was.ICMP.InMsgs},
		{"icmpOutMsgs", k("Icmp.OutMsgs"), st.ICMP.OutMsgs - was.ICMP.OutMsgs},
		{"icmpInEchos", k("Icmp.InEchos"), st.ICMP.InEchos - was.ICMP.InEchos},
		{"icmpOutDestUnreachs", k("Icmp.OutDestUnreachs"), st.ICMP.OutDestUnreachs - was.ICMP.OutDestUnreachs},
		{"ipReasmReqds", k("Ip.ReasmReqds"), st.IP.ReasmReqds - was.IP.ReasmReqds},
		{"ipReasmOKs", k("Ip.ReasmOKs"), st.IP.ReasmOKs - was.IP.ReasmOKs},
		{"ipFragOKs", k("Ip.FragOKs"), st.IP.OutFragOKs - was.IP.OutFragOKs},
		{"ipFragCreates", k("Ip.FragCreates"), st.IP.OutFragCreates - was.IP.OutFragCreates},
		{"datagrams to us", k("Ip.OutRequests") - k("Ip.FragOKs") + k("Ip.FragCreates"), st.IP.InReceives - was.IP.InReceives},
		{"datagrams to the kernel", k("Ip.InReceives"), st.IP.OutTransmits - was.IP.OutTransmits},
		{"delivered to us", k("Tcp.OutSegs") + k("Tcp.RetransSegs") + k("Udp.OutDatagrams") + k("Icmp.OutMsgs"), st.IP.InDelivers - was.IP.InDelivers},
		{"delivered to the kernel", k("Ip.InDelivers"), st.TCP.OutSegs + st.TCP.RetransSegs + st.UDP.OutDatagrams + st.ICMP.OutMsgs -
			was.TCP.OutSegs - was.TCP.RetransSegs - was.UDP.OutDatagrams - was.ICMP.OutMsgs},
	} {
		if tc.kernel != tc.ours {
			wrong = append(wrong, fmt.Sprintf("%s: the kernel counts %d, we %d", tc.name, tc.kernel, tc.ours))
		}
	}
	return wrong
}

package sockstat

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/vnet"
)

func sock(proto, state, local, peer string) *Socket {
	s := &Socket{Proto: proto, State: state, Local: netip.MustParseAddrPort(local)}
	if peer != "" {
		s.Peer = netip.MustParseAddrPort(peer)
	}
	return s
}

var some = map[string]*Socket{
	"web":    sock("tcp", "ESTAB", "10.9.0.2:80", "10.9.0.1:40000"),
	"ssh":    sock("tcp", "ESTAB", "10.9.0.2:40001", "192.0.2.7:22"),
	"old":    sock("tcp", "TIME-WAIT", "10.9.0.2:80", "10.9.0.1:40002"),
	"new":    sock("tcp", "SYN-RECV", "10.9.0.2:80", "10.9.0.1:40003"),
	"half":   sock("tcp", "CLOSE-WAIT", "10.9.0.2:443", "10.9.0.9:50000"),
	"listen": sock("tcp", "LISTEN", "0.0.0.0:80", ""),
	"dns":    sock("udp", "UNCONN", "0.0.0.0:53", ""),
}

func TestFilter(t *testing.T) {
	for _, tc := range []struct{ words, want string }{
		{"", "half ssh web"},
		{"state established", "ssh web"},
		{"state all", "dns half listen new old ssh web"},
		{"state time-wait state syn-recv", "new old"},
		{"state bucket", "new old"},
		{"state connected", "half new old ssh web"},
		{"exclude listening exclude time-wait exclude unconnected", "half new ssh web"},
		{"state connected exclude TIME-WAIT", "half new ssh web"},
		{"dst 10.9.0.1", "web"},
		{"dst 192.0.2.0/24", "ssh"},
		{"dst 192.0.2.7:22", "ssh"},
		{"dst = 192.0.2.7:*", "ssh"},
		{"src :80", "web"},
		{"src *:80", "web"},
		{"dport 22", "ssh"},
		{"dport = :22", "ssh"},
		{"dport = :22 or sport = :80", "ssh web"},
		{"dport = :ssh", "ssh"},
		{"sport http", "web"},
		{"dst 192.0.2.7:ssh", "ssh"},
		{"( dport = :22 or sport = :80 ) and dst 10.9.0.0/16", "web"},
		{"(dport=:22 or sport=:80) dst 10.9.0.0/16", "web"},
		{"not dst 10.9.0.0/16", "ssh"},
		{"! ( dport >= :40000 && dport lt 50000 )", "half ssh"},
		{"dport != 22 sport <= 80", "web"},
		{"dport gt :40000", "half"},
		{"state all sport ne 80 sport ge 53 sport le 443", "dns half"},
	} {
		f, err := ParseFilter(Default(false, false), strings.Fields(tc.words))
		if err != nil {
			t.Errorf("%s: %v", tc.words, err)
			continue
		}
		// What a shell leaves whole means the same.
		joined, err := ParseFilter(Default(false, false), []string{tc.words})
		if err != nil {
			t.Errorf("%s: %v", tc.words, err)
			continue
		}
		var got, again []string
		for _, name := range []string{"dns", "half", "listen", "new", "old", "ssh", "web"} {
			if f.Match(some[name]) {
				got = append(got, name)
			}
			if joined.Match(some[name]) {
				again = append(again, name)
			}
		}
		if g := strings.Join(got, " "); g != tc.want || strings.Join(again, " ") != g {
			t.Errorf("%q: %s, joined %s, want %s", tc.words, g, again, tc.want)
		}
	}
	for _, words := range []string{
		"state", "state open", "dst", "dst www.example.com", "dst 10.9.0.1:nosuchservice", "dst 10.9.0.1:70000", "sport", "sport = ", "sport = nosuchservice", "sport :", "sport =< 80",
		"( sport = 80", "sport = 80 )", "sport 80 or", "and", "not", "port 80", "sport = 80 state established", strings.Repeat("(", 1000), strings.Repeat("! ", 1000), "dst 10.9.0.0/40",
	} {
		if _, err := ParseFilter(Default(false, false), []string{words}); !errors.Is(err, ErrFilter) {
			t.Errorf("%.40q: %v", words, err)
		}
	}
	for _, tc := range []struct {
		listening, all bool
		want           int
	}{{false, false, 3}, {true, false, 2}, {false, true, 7}} {
		f, n := Default(tc.listening, tc.all), 0
		for _, s := range some {
			if f.Match(s) {
				n++
			}
		}
		if n != tc.want {
			t.Errorf("listening %v, all %v: %d sockets", tc.listening, tc.all, n)
		}
	}
}

func FuzzFilter(f *testing.F) {
	for _, s := range []string{"state established", "( dport = :22 or sport = :80 ) and dst 10.9.0.0/16", "! dst :80", "exclude bucket not(not sport>=:1)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, words string) {
		f, err := ParseFilter(Default(false, true), []string{words})
		if err != nil {
			if !errors.Is(err, ErrFilter) {
				t.Fatal(err)
			}
			return
		}
		for _, s := range some {
			f.Match(s)
		}
	})
}

// A snapshot of two stacks that talk says what each of them knows, and passes
// through JSON whole.
func TestTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := vnet.New(vnet.Config{Seed: 1})
		defer sw.Close()
		neighbors := stack.StaticResolver{}
		var stacks []*stack.Stack
		for n := 1; n <= 2; n++ {
			p, err := sw.Port(vnet.PortConfig{Name: "p" + string(rune('0'+n)), Ingress: vnet.Impairment{Delay: 5 * time.Millisecond}})
			if err != nil {
				t.Fatal(err)
			}
			a := netip.AddrFrom4([4]byte{10, 0, 0, byte(n)})
			neighbors[a] = p.Info().Addr
			s := stack.New(stack.Config{})
			defer s.Close()
			if _, err := s.AddInterface(stack.InterfaceConfig{Device: p, Resolver: neighbors, Addresses: []netip.Prefix{netip.PrefixFrom(a, 24)}}); err != nil {
				t.Fatal(err)
			}
			stacks = append(stacks, s)
		}
		ln, err := stacks[1].Listen("tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		u, err := stacks[1].ListenPacket("udp", ":53")
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		c, err := stacks[0].Dial("tcp", "10.0.0.2:80")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.(*stack.TCPConn).SetKeepAlive(true)
		c.Write(make([]byte, 5000))
		time.Sleep(time.Second)
		b, err := json.Marshal(Take(stacks[1], "bench"))
		if err != nil {
			t.Fatal(err)
		}
		var snap Snapshot
		if err := json.Unmarshal(b, &snap); err != nil {
			t.Fatal(err)
		}
		if snap.Node != "bench" || len(snap.Sockets) != 3 || snap.Stats.TCP.PassiveOpens != 1 {
			t.Fatalf("%s", b)
		}
		l, conn, packet := snap.Sockets[0], snap.Sockets[1], snap.Sockets[2]
		if l.State != "LISTEN" || l.RecvQueue != 1 || l.SendQueue != stack.DefaultBacklog {
			t.Errorf("listener %+v", l)
		}
		if packet.Proto != "udp" || packet.State != "UNCONN" || packet.Local.Port() != 53 {
			t.Errorf("packet socket %+v", packet)
		}
		if conn.State != "ESTAB" || conn.RecvQueue != 5000 || conn.Interface != "p2" || conn.TCP.BytesReceived != 5000 || conn.TCP.PathMTU != 1500 || conn.TCP.Congestion != "cubic" {
			t.Errorf("connection %+v %+v", conn, conn.TCP)
		}
		snap = Take(stacks[0], "")
		conn = snap.Sockets[0]
		if conn.TCP.BytesAcked != 5000 || conn.TCP.Delivered != 5000 || conn.TCP.SRTT < 10*time.Millisecond || conn.TCP.LastSnd == nil || conn.TCP.LastRcv != nil {
			t.Errorf("the peer's %+v", conn.TCP)
		}
		text := conn.Details()
		for _, want := range []string{"ts sack cubic wscale:", " mss:1448 pmtu:1500 ", " bytes_acked:5000 ", " send ", " lastsnd:", " pacing_rate ", "minrtt:10"} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in %s", want, text)
			}
		}
		if timer := conn.TimerText(); !strings.HasPrefix(timer, "timer:(keepalive,") {
			t.Errorf("timer %q", timer)
		}
		sum := Summarize(&snap)
		var out strings.Builder
		if err := sum.Print(&out); err != nil || sum.TCP["ESTAB"] != 1 || sum.Counts["tcpActiveOpens"] != 1 || !strings.Contains(out.String(), "tcpActiveOpens                     1\n") ||
			!strings.Contains(out.String(), "\ntcpRtoAlgorithm                    5\ntcpRtoMin                          200\ntcpRtoMax                          60000\ntcpMaxConn                         -1\n") {
			t.Errorf("%v %v\n%s", err, sum, out.String())
		}
	})
}

func TestWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0ms", 350 * time.Millisecond: "350ms", 1500 * time.Millisecond: "1.5sec", 2 * time.Second: "2sec", 59 * time.Second: "59sec",
		80 * time.Second: "1min20sec", 2*time.Hour + 5*time.Minute: "2h5min",
	} {
		if got := Short(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
	for r, want := range map[float64]string{999: "999bps", 1500: "1.5Kbps", 33.1e6: "33.1Mbps", 2e12: "2000.0Gbps"} {
		if got := bits(r); got != want {
			t.Errorf("%v: %s, want %s", r, got, want)
		}
	}
	if l, p := some["listen"].Ends(); l != "0.0.0.0:80" || p != "*:*" {
		t.Errorf("%s %s", l, p)
	}
}

// The line of a connection under loss, and of one whose peer closes its window, in
// the words, the order and the units of ss: what is under way in segments.
func TestDetailsUnderLoss(t *testing.T) {
	since := 12 * time.Millisecond
	c := TCP{
		Congestion: "cubic", Phase: "recovery", Cwnd: 14480, Ssthresh: 10136, SRTT: 20500 * time.Microsecond, RTTVar: 1500 * time.Microsecond,
		MinRTT: 20 * time.Millisecond, RTO: 224 * time.Millisecond, ATO: 40 * time.Millisecond, MSS: 1448, PathMTU: 1500, RcvMSS: 1448, AdvMSS: 1448,
		SndWnd: 65536, RcvWnd: 64240, SndBuf: 87040, RcvBuf: 131072, Timestamps: true, SACK: true, SndScale: 7, RcvScale: 8,
		PacingRate: 1_000_000, Flight: 14000, Sacked: 2896, Lost: 1448, Resent: 1, Retransmits: 3, Backoff: 1, Reordered: 2, Overtaken: 5 * 1448, Unsent: 4321, QuickAcks: 2,
		BytesSent: 30000, BytesAgain: 2896, BytesAcked: 16000, Delivered: 18896, SegsOut: 25, SegsIn: 13, DataSegsOut: 23,
		Busy: 200 * time.Millisecond, WindowLimited: 50 * time.Millisecond, Arrived: 14, LastSnd: &since, LastAck: &since,
	}
	want := "ts sack cubic wscale:7,8 rto:224 backoff:1 rtt:20.5/1.5 ato:40 qack:2 mss:1448 pmtu:1500 rcvmss:1448 advmss:1448 cwnd:10 ssthresh:7 " +
		"bytes_sent:30000 bytes_retrans:2896 bytes_acked:16000 segs_out:25 segs_in:13 data_segs_out:23 send 5.7Mbps lastsnd:12 lastack:12 pacing_rate 8.0Mbps " +
		"delivered:14 busy:200ms rwnd_limited:50ms(25.0%) unacked:10 retrans:1/3 lost:2 sacked:2 reordering:5 reord_seen:2 notsent:4321 minrtt:20 " +
		"snd_wnd:65536 rcv_wnd:64240 ca_state:recovery bytes_delivered:18896 snd_buf:87040 rcv_buf:131072"
	if got := c.details(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

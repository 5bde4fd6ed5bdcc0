package host_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/host"
)

// timeServer is a time server on a stack of the test's.
type timeServer struct {
	mu     sync.Mutex
	ahead  time.Duration      // of the bubble's clock
	edit   func(reply []byte) // what it does in its own way
	before func(pc net.PacketConn, reply []byte, to net.Addr)
	silent bool
	asked  []time.Time
	from   []int // ports
	nonces []uint64
}

func (ts *timeServer) set(f func()) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	f()
}

func (ts *timeServer) serve(t *testing.T, s *stack.Stack) {
	t.Helper()
	pc, err := s.ListenPacket("udp", ":123")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			if n != 48 || buf[0] != 0x23 {
				t.Errorf("request %x", buf[:n])
				continue
			}
			ts.set(func() {
				ts.asked = append(ts.asked, time.Now())
				ts.from = append(ts.from, from.(*net.UDPAddr).Port)
				ts.nonces = append(ts.nonces, binary.BigEndian.Uint64(buf[40:]))
				reply := ts.reply(buf[40:48])
				if ts.before != nil {
					ts.before(pc, reply, from)
				}
				if ts.edit != nil {
					ts.edit(reply)
				}
				if !ts.silent {
					pc.WriteTo(reply, from)
				}
			})
		}
	}()
}

// stamp is a timestamp of t, to the second.
func stamp(t time.Time) uint64 { return uint64(uint32(t.Unix()+2208988800)) << 32 }

// reply is what an honest server answers.
func (ts *timeServer) reply(origin []byte) []byte {
	b := make([]byte, 48)
	now := time.Now().Add(ts.ahead)
	b[0], b[1] = 0x24, 2
	copy(b[12:], []byte{10, 0, 0, 99})
	binary.BigEndian.PutUint64(b[16:], stamp(now.Add(-time.Minute)))
	copy(b[24:], origin)
	at := stamp(now) | uint64(now.Nanosecond())<<32/1e9
	binary.BigEndian.PutUint64(b[32:], at)
	binary.BigEndian.PutUint64(b[40:], at)
	return b
}

// kiss makes a server say goodbye.
func kiss(code string) func([]byte) {
	return func(b []byte) { b[1] = 0; copy(b[12:16], code) }
}

// timeNet is a client, and time servers 10.0.0.123, .124, ...
type timeNet struct {
	*lan
	c       *host.SNTPClient
	servers []*timeServer
	begin   time.Time

	mu    sync.Mutex
	shift []time.Duration
}

// clock is what the client believes it moves: from then on servers are ahead by
// less.
func (n *timeNet) clock(offset time.Duration) error {
	n.mu.Lock()
	n.shift = append(n.shift, offset)
	n.mu.Unlock()
	for _, ts := range n.servers {
		ts.set(func() { ts.ahead -= offset })
	}
	return nil
}

// moved returns what the clock was moved by.
func (n *timeNet) moved() []time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.shift)
}

func timeTest(t *testing.T, cfg host.SNTPConfig, servers []*timeServer, f func(t *testing.T, n *timeNet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := &timeNet{lan: newLAN(t, host.DHCPServerConfig{}), servers: servers, begin: time.Now()}
		defer n.close()
		s, _ := n.station(mac(1), netip.MustParsePrefix("10.0.0.2/24"))
		for i, ts := range servers {
			a := netip.AddrFrom4([4]byte{10, 0, 0, byte(123 + i)})
			peer, _ := n.station(mac(123+i), netip.PrefixFrom(a, 24))
			ts.serve(t, peer)
			if cfg.Names == nil {
				cfg.Servers = append(cfg.Servers, a.String())
			}
		}
		cfg.Stack = s
		if cfg.Adjust == nil {
			cfg.Adjust = n.clock
		}
		var err error
		if n.c, err = host.NewSNTPClient(cfg); err != nil {
			t.Fatal(err)
		}
		n.start(func(ctx context.Context) error { n.c.Run(ctx); return nil })
		synctest.Wait()
		f(t, n)
	})
}

// at tells when a server was asked, since the beginning.
func (ts *timeServer) at(n *timeNet) (ds []time.Duration) {
	ts.set(func() {
		for _, a := range ts.asked {
			ds = append(ds, a.Sub(n.begin))
		}
	})
	return ds
}

// Once at the start, and then gently.
//
//rfc:4330 configured
func TestSNTPSetsTheClock(t *testing.T) {
	ts := &timeServer{ahead: 26 * time.Hour}
	timeTest(t, host.SNTPConfig{}, []*timeServer{ts}, func(t *testing.T, n *timeNet) {
		if len(n.moved()) != 1 || (n.moved()[0]-26*time.Hour).Abs() > 10*time.Millisecond {
			t.Fatalf("the clock was moved by %v", n.moved())
		}
		if s, ok := n.c.Last(); !ok || s.Server.String() != "10.0.0.123" || s.Stratum != 2 || s.Offset != n.moved()[0] {
			t.Errorf("%+v, %v", s, ok)
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		asked := ts.at(n)
		if asked[0] > time.Second || len(asked) < 21 || len(asked) > 25 {
			t.Errorf("asked %d times in a day, first after %v", len(asked), asked[0])
		}
		for i := 1; i < len(asked); i++ {
			if d := asked[i] - asked[i-1]; d < time.Hour || d > 66*time.Minute {
				t.Errorf("%v between two questions", d)
			}
		}
		for _, d := range n.moved()[1:] {
			if d.Abs() > time.Second {
				t.Errorf("a clock that was right was moved by %v", d)
			}
		}
		// Ports and nonces cannot be guessed.
		ts.set(func() {
			if slices.Sort(ts.from); len(slices.Compact(ts.from)) < len(asked)-2 {
				t.Errorf("ports %v", ts.from)
			}
			if slices.Sort(ts.nonces); len(slices.Compact(ts.nonces)) != len(asked) {
				t.Error("a nonce was used twice")
			}
		})
	})
}

// A silent server is asked ever more seldom, another one meanwhile.
//
//rfc:4330 interval backoff
//rfc:1123 soft
func TestSNTPBackoff(t *testing.T) {
	silent, second := &timeServer{silent: true}, &timeServer{silent: true}
	timeTest(t, host.SNTPConfig{}, []*timeServer{silent, second}, func(t *testing.T, n *timeNet) {
		time.Sleep(6 * time.Hour)
		synctest.Wait()
		for _, ts := range n.servers {
			at := ts.at(n)
			last := time.Duration(0)
			for i := 1; i < len(at); i++ {
				d := at[i] - at[i-1]
				if d < 15*time.Second { // RFC 4330 §10
					t.Errorf("%v between two questions", d)
				}
				if d < last*3/2 && d < time.Hour {
					t.Errorf("%v after %v: no back-off", d, last)
				}
				last = d
			}
			if len(at) < 8 || last < time.Hour {
				t.Errorf("asked at %v", at)
			}
		}
		if n.moved() != nil {
			t.Errorf("moved by %v", n.moved())
		}
		second.set(func() { second.silent, second.ahead = false, time.Minute })
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if len(n.moved()) == 0 || n.moved()[0].Round(time.Second) != time.Minute {
			t.Errorf("moved by %v", n.moved())
		}
	})
}

// What a server says that is of no use: the next one is believed, and the clock
// does not move before.
func TestSNTPRefuses(t *testing.T) {
	for what, edit := range map[string]func(b []byte){
		"not synchronised": func(b []byte) { b[0] |= 0xc0 },
		"stratum 16":       func(b []byte) { b[1] = 16 },
		"stratum 0":        func(b []byte) { b[1] = 0; clear(b[12:16]) },
		"no time":          func(b []byte) { clear(b[40:48]) },
		"another origin":   func(b []byte) { b[27]++ },
		"cut off":          func(b []byte) { b[0] = 0 },
	} {
		t.Run(what, func(t *testing.T) {
			bad, good := &timeServer{ahead: time.Hour, edit: edit}, &timeServer{ahead: time.Minute}
			timeTest(t, host.SNTPConfig{}, []*timeServer{bad, good}, func(t *testing.T, n *timeNet) {
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if len(n.moved()) != 1 || n.moved()[0].Round(time.Second) != time.Minute {
					t.Errorf("moved by %v", n.moved())
				}
			})
		})
	}
}

// RFC 4330 §8, RFC 5905 §7.4: whoever says DENY or RSTR is not asked again, and
// whoever says RATE half as often, for good.
//
//rfc:4330 kiss
//rfc:5905 kisses deny rate unknown
func TestSNTPKissOfDeath(t *testing.T) {
	for _, code := range []string{"DENY", "RSTR"} {
		t.Run(code, func(t *testing.T) {
			ts := &timeServer{edit: kiss(code)}
			timeTest(t, host.SNTPConfig{}, []*timeServer{ts}, func(t *testing.T, n *timeNet) {
				time.Sleep(100 * 24 * time.Hour)
				synctest.Wait()
				n.c.SetServers([]string{"10.0.0.123"}) // a lease that brings the same server again
				time.Sleep(24 * time.Hour)
				synctest.Wait()
				if at := ts.at(n); len(at) != 1 || n.moved() != nil {
					t.Errorf("asked at %v, moved by %v", at, n.moved())
				}
				n.c.SetServers(nil) // another server is another matter
				n.c.SetServers([]string{"10.0.0.1"})
				synctest.Wait()
			})
		})
	}
	for _, code := range []string{"XFUN", "INIT"} { // nothing that a client would know what to do about
		t.Run(code, func(t *testing.T) {
			ts := &timeServer{ahead: time.Minute, edit: kiss(code)}
			timeTest(t, host.SNTPConfig{Poll: 64 * time.Second}, []*timeServer{ts}, func(t *testing.T, n *timeNet) {
				time.Sleep(20 * time.Second)
				synctest.Wait()
				ts.set(func() { ts.edit = nil })
				time.Sleep(200 * time.Second)
				synctest.Wait()
				if at := ts.at(n); len(at) < 5 || len(n.moved()) == 0 {
					t.Errorf("asked at %v, moved by %v", at, n.moved())
				}
			})
		})
	}
	t.Run("RATE", func(t *testing.T) {
		ts := &timeServer{ahead: time.Minute, edit: kiss("RATE")}
		timeTest(t, host.SNTPConfig{Poll: 64 * time.Second}, []*timeServer{ts}, func(t *testing.T, n *timeNet) {
			time.Sleep(time.Hour)
			synctest.Wait()
			at := ts.at(n)
			for i, want := 1, 128*time.Second; i < len(at); i, want = i+1, 2*want {
				if d := at[i] - at[i-1]; d < want || d > want*11/10 {
					t.Errorf("question %d after %v, want %v", i, d, want)
				}
			}
			if len(at) != 5 || n.moved() != nil {
				t.Errorf("asked at %v, moved by %v", at, n.moved())
			}
			ts.set(func() { ts.edit = nil }) // it answers again, and is still spared
			time.Sleep(10 * time.Hour)
			synctest.Wait()
			if rest := ts.at(n)[len(at):]; len(n.moved()) == 0 || len(rest) > 18 {
				t.Errorf("then asked at %v, moved by %v", rest, n.moved())
			}
		})
	})
	t.Run("forged", func(t *testing.T) {
		ts := &timeServer{ahead: time.Minute}
		ts.before = func(pc net.PacketConn, reply []byte, to net.Addr) {
			b := slices.Clone(reply)
			kiss("DENY")(b)
			b[24]++ // who does not see our questions does not know their origin timestamp
			pc.WriteTo(b, to)
			b = slices.Clone(reply)
			b[31]++
			pc.WriteTo(b, to)
		}
		timeTest(t, host.SNTPConfig{}, []*timeServer{ts}, func(t *testing.T, n *timeNet) {
			if len(n.moved()) != 1 {
				t.Errorf("moved by %v", n.moved())
			}
		})
	})
}

// A clock that was right does not follow one answer that says otherwise.
func TestSNTPSurprise(t *testing.T) {
	a, b := &timeServer{}, &timeServer{}
	timeTest(t, host.SNTPConfig{}, []*timeServer{a, b}, func(t *testing.T, n *timeNet) {
		time.Sleep(time.Minute)
		a.set(func() { a.ahead = time.Hour })
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		for _, d := range n.moved() {
			if d.Abs() > time.Second {
				t.Errorf("moved by %v", n.moved())
			}
		}
		// But when both say so, it was the clock.
		a.set(func() { a.ahead = -time.Hour })
		b.set(func() { b.ahead = -time.Hour })
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if !slices.ContainsFunc(n.moved(), func(d time.Duration) bool { return d.Round(time.Minute) == -time.Hour }) {
			t.Errorf("moved by %v", n.moved())
		}
	})
}

// namesOf answers for every name.
type namesOf []netip.Addr

func (ns namesOf) LookupNetIP(_ context.Context, network, name string) ([]netip.Addr, error) {
	if network != "ip4" || name != "time.test" {
		return nil, fmt.Errorf("%s on %s", name, network)
	}
	return ns, nil
}

//rfc:4330 dns
func TestSNTPByName(t *testing.T) {
	ts := &timeServer{ahead: time.Minute}
	cfg := host.SNTPConfig{Servers: []string{"time.test"}, Names: namesOf{netip.MustParseAddr("10.0.0.123")}}
	timeTest(t, cfg, []*timeServer{ts}, func(t *testing.T, n *timeNet) {
		if len(n.moved()) != 1 {
			t.Errorf("moved by %v", n.moved())
		}
	})
	// A clock that cannot be set is tried again in its time, and not believed.
	cfg = host.SNTPConfig{Adjust: func(time.Duration) error { return errors.New("not permitted") }}
	ts = &timeServer{}
	timeTest(t, cfg, []*timeServer{ts}, func(t *testing.T, n *timeNet) {
		if s, ok := n.c.Last(); ok || len(ts.at(n)) != 1 {
			t.Errorf("%+v", s)
		}
	})
	if _, err := host.NewSNTPClient(host.SNTPConfig{}); err == nil {
		t.Error("a client without a clock")
	}
}

// moving answers with another address each time.
type moving struct{ left []netip.Addr }

func (m *moving) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	a := m.left[0]
	if len(m.left) > 1 {
		m.left = m.left[1:]
	}
	return []netip.Addr{a}, nil
}

// RFC 4330 §10: a server that is a name may move.
//
//rfc:4330 again
func TestSNTPResolvesAgain(t *testing.T) {
	first, second := &timeServer{}, &timeServer{}
	cfg := host.SNTPConfig{Servers: []string{"time.test"}, Names: &moving{[]netip.Addr{netip.MustParseAddr("10.0.0.123"), netip.MustParseAddr("10.0.0.124")}}}
	timeTest(t, cfg, []*timeServer{first, second}, func(t *testing.T, n *timeNet) {
		time.Sleep(12 * time.Hour)
		synctest.Wait()
		if a, b := len(first.at(n)), len(second.at(n)); a != 1 || b < 9 {
			t.Errorf("the first address was asked %d times, the second %d", a, b)
		}
	})
}

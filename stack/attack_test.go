package stack_test

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/checksum"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/link"
	"arpeggio/stack/tcp"
	"arpeggio/stack/vnet"
)

// attack is a stack that serves, an honest peer, 10.0.0.2, with a connection to
// it, and the attacker, 10.0.0.9, on the same wire.
type attack struct {
	*raw
	s     *stack.Stack
	conn  *stack.TCPConn // of the peer, to the echo service
	rng   *rand.Rand
	begin uint64 // memory before it began
}

// Ports of the stack under attack: one echoes, one sends without end, one
// accepts and never reads.
const (
	echoPort   = 80
	streamPort = 81
	deafPort   = 82
)

// underAttack runs f against a stack, and then sees whether the honest peer's
// connection goes on, and whether memory grew by more than most octets.
func underAttack(t *testing.T, name string, cfg stack.Config, most int, f func(t *testing.T, a *attack)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRaw(t, cfg)
			defer r.close()
			a := &attack{raw: r, s: r.stacks[0], rng: rand.New(rand.NewPCG(4, 2))}
			var lns []net.Listener
			for _, p := range []struct {
				addr  string
				serve func(c net.Conn)
			}{
				{":80", func(c net.Conn) { io.Copy(c, c); c.Close() }},
				{":81", func(c net.Conn) { io.Copy(c, stream(1, 1<<40)); c.Close() }},
				{":82", func(net.Conn) {}},
			} {
				ln, err := a.s.Listen("tcp", p.addr)
				if err != nil {
					t.Fatal(err)
				}
				lns = append(lns, ln)
				go func() {
					for {
						c, err := ln.Accept()
						if err != nil {
							return
						}
						go p.serve(c)
					}
				}()
			}
			p := port(t, r.sw, vnet.PortConfig{Name: "peer"})
			r.neighbors[addr(2)] = p.Info().Addr
			peer := stack.New(stack.Config{})
			add(t, peer, stack.InterfaceConfig{Device: p, Resolver: r.neighbors, Addresses: []netip.Prefix{netip.PrefixFrom(addr(2), 24)}})
			conn, err := peer.Dial("tcp", "10.0.0.1:80")
			if err != nil {
				t.Fatal(err)
			}
			a.conn = conn.(*stack.TCPConn)
			a.goesOn(t)
			a.begin = heap()
			f(t, a)
			a.discard()
			a.goesOn(t)
			if grown := int(heap() - a.begin); grown > most {
				t.Errorf("memory grew by %d octets, at most %d are allowed", grown, most)
			} else {
				t.Logf("memory grew by %d octets", grown)
			}
			a.conn.Close()
			peer.Close()
			for _, ln := range lns {
				ln.Close()
			}
			a.s.AbortConns()
		})
	})
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// goesOn sends something to and fro on the honest connection.
func (a *attack) goesOn(t *testing.T) {
	t.Helper()
	_ = a.conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := a.conn.Write([]byte("still there?")); err != nil {
		t.Fatal(err)
	}
	if err := sameText(a.conn, "still there?"); err != nil {
		t.Fatal(err)
	}
}

func sameText(r io.Reader, want string) error {
	b := make([]byte, len(want))
	if _, err := io.ReadFull(r, b); err != nil {
		return err
	}
	if string(b) != want {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// discard forgets what the attacker was sent.
func (a *attack) discard() {
	frames := make([]link.Frame, 64)
	synctest.Wait()
	for {
		if n, _ := a.dev.ReadFrames(frames); n == 0 {
			return
		}
	}
}

// tcp sends a segment from src.
func (a *attack) tcp(src netip.Addr, seg tcp.Segment) {
	b := append(seg.AppendHeader(nil), seg.Payload...)
	sum := checksum.Checksum(checksum.Sum(b, checksum.Pseudo(src, addr(1), uint8(ipv4.ProtoTCP), len(b))))
	binary.BigEndian.PutUint16(b[tcp.ChecksumOffset:], sum)
	a.ip(ipv4.Header{Proto: ipv4.ProtoTCP, Src: src, Dst: addr(1)}, nil, b)
}

// bad is a connection of the attacker's, which has no TCP.
type bad struct {
	a    *attack
	port uint16
	to   uint16
	snd  tcp.Seq
	rcv  tcp.Seq
}

// open makes a connection with a window; ok is false when nobody answers.
func (a *attack) open(from, to, window uint16) (c *bad, ok bool) {
	c = &bad{a: a, port: from, to: to, snd: tcp.Seq(from) << 16}
	a.discard()
	a.tcp(addr(9), tcp.Segment{SrcPort: from, DstPort: to, Seq: c.snd, Flags: tcp.SYN, Window: window, Options: tcp.Options{MSS: 1460}})
	c.snd++
	for _, s := range a.segments() {
		if s.DstPort == from && s.Flags.Has(tcp.SYN|tcp.ACK) {
			c.rcv, ok = s.Seq.Add(1), true
		}
	}
	if ok {
		c.send(0, 0, window, nil)
	}
	return c, ok
}

// send sends an acknowledgment with text, both moved by some octets.
func (c *bad) send(seq, ack int, window uint16, text []byte) {
	c.a.tcp(addr(9), tcp.Segment{SrcPort: c.port, DstPort: c.to, Seq: c.snd.Add(seq), Ack: c.rcv.Add(ack), Flags: tcp.ACK, Window: window, Payload: text})
}

// segments returns what the stack has sent to the attacker.
func (a *attack) segments() (out []tcp.Segment) {
	for _, p := range a.got() {
		if p.h.Proto == ipv4.ProtoTCP {
			if s, err := tcp.ParseSegment(p.body); err == nil {
				out = append(out, s)
			}
		}
	}
	return out
}

// told fails unless each counter is above zero.
func (a *attack) told(t *testing.T, counters func(st *stack.Stats) map[string]uint64) {
	t.Helper()
	st := a.s.Stats()
	for name, n := range counters(&st) {
		if n == 0 {
			t.Errorf("nothing was counted as %s", name)
		} else {
			t.Logf("%d %s", n, name)
		}
	}
}

// peerPort is the port of the honest peer's end.
func (a *attack) peerPort() uint16 { return uint16(a.conn.LocalAddr().(*net.TCPAddr).Port) }

// careless is a device that passes on whatever is injected, of any length, as
// some drivers do.
type careless struct {
	link.Device
	mu     sync.Mutex
	frames [][]byte
}

func (d *careless) inject(b []byte) {
	d.mu.Lock()
	d.frames = append(d.frames, b)
	d.mu.Unlock()
	d.Wake()
}

// ReadFrames implements link.Device.
func (d *careless) ReadFrames(f []link.Frame) (n int, err error) {
	d.mu.Lock()
	for n < len(f) && len(d.frames) > 0 {
		f[n] = link.Frame{Head: append(f[n].Head[:0], d.frames[0]...)}
		d.frames, n = d.frames[1:], n+1
	}
	if len(d.frames) == 0 {
		d.frames = nil
	}
	d.mu.Unlock()
	if n > 0 {
		return n, nil
	}
	return d.Device.ReadFrames(f)
}

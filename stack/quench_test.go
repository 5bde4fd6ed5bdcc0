package stack_test

import (
	"net/netip"
	"os"
	"testing"
	"time"

	"arpeggio/stack/icmp"
	"arpeggio/stack/ipv4"
)

// A host that cannot keep up drops what it has no room for, and does not say so.
//
//rfc:6633 unsent
func TestRFC6633NoneIsSent(t *testing.T) { // §3
	rawTest(t, "", func(t *testing.T, r *raw) {
		u := listenUDP(t, r.stacks[0], ":9")
		u.SetReadBuffer(1)
		for range 100 {
			h, body := udpPacket(addrPort(9, 1), addrPort(1, 9), make([]byte, 1000))
			r.ip(h, nil, body)
		}
		if got, st := r.got(), r.stats(); len(got) > 0 || st.UDP.QueueFull == 0 {
			t.Errorf("%d answers, %+v", len(got), st.UDP)
		}
	})
}

// Whoever it is about: nobody learns of a source quench.
//
//rfc:6633 discarded
func TestRFC6633Discarded(t *testing.T) { // §3, §5, §6, §8
	rawTest(t, "", func(t *testing.T, r *raw) {
		s := r.stacks[0]
		quench := func() {
			t.Helper()
			got := r.got()
			if len(got) != 1 {
				t.Fatalf("%d packets sent", len(got))
			}
			r.icmp(icmp.Message{Type: icmp.SourceQuench, Body: got[0].packet})
			if got := r.got(); len(got) > 0 {
				t.Errorf("an answer: %+v", got)
			}
		}
		silent := func(what string, c interface {
			SetReadDeadline(time.Time) error
			Read([]byte) (int, error)
		}) {
			t.Helper()
			c.SetReadDeadline(time.Now().Add(time.Second))
			if _, err := c.Read(make([]byte, 1)); !os.IsTimeout(err) {
				t.Errorf("%s: %v", what, err)
			}
		}
		u, err := s.DialUDP(netip.AddrPort{}, addrPort(9, 7))
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		u.Write([]byte("x"))
		quench()
		silent("UDP", u)
		ip, err := s.DialIP(ipv4.Proto(200), netip.Addr{}, addr(9))
		if err != nil {
			t.Fatal(err)
		}
		defer ip.Close()
		ip.Write([]byte("x"))
		quench()
		silent("IP", ip)
		ln := r.listen()
		r.open(4000)
		c, err := ln.AcceptTCP()
		if err != nil {
			t.Fatal(err)
		}
		c.Write([]byte("text"))
		before := c.Info()
		quench()
		if after := c.Info(); after != before {
			t.Errorf("%+v, before %+v", after, before)
		}
		silent("TCP", c)
		if st := r.stats().ICMP; st.InSrcQuenchs != 3 || st.Ignored != 3 {
			t.Errorf("%+v", st)
		}
	})
}

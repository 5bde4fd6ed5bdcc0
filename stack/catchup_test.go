package stack_test

import (
	"testing"

	"arpeggio/stack"
	"arpeggio/stack/link"
)

// A frame that lies in the device when CatchUp is called has had its effect
// when it returns, in real time and without a pause.
func TestCatchUp(t *testing.T) {
	r := newRaw(t, stack.Config{})
	defer r.close()
	s := r.stacks[0]
	c, err := s.ListenPacket("udp4", "10.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ready := c.(*stack.UDPConn)
	for n := range 200 {
		h, body := udpPacket(addrPort(9, 1000), addrPort(1, 9), []byte{byte(n)})
		h.TTL = 64
		r.frame(r.mac, append(h.AppendTo(nil, nil, len(body)), body...))
		s.CatchUp()
		if data, _, err := ready.ReceiveNow(false); err != nil || data[0] != byte(n) {
			t.Fatalf("datagram %d: % x, %v", n, data, err)
		}
		if n < 5 { // port unreachable is the answer
			h, body = udpPacket(addrPort(9, 1000), addrPort(1, 10), nil)
			h.TTL = 64
			r.frame(r.mac, append(h.AppendTo(nil, nil, len(body)), body...))
			s.CatchUp()
			frames := make([]link.Frame, 4)
			if k, err := r.dev.ReadFrames(frames); k != 1 || err != nil {
				t.Fatalf("%d answers, %v", k, err)
			}
		}
	}
	s.Close()
	s.CatchUp() // of a closed stack returns
}

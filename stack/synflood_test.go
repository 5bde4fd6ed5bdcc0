package stack_test

import (
	"testing"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/tcp"
)

// A listener keeps as many unfinished handshakes as its backlog allows, each for a
// minute and asking again, and answers beyond that with cookies.
//
//rfc:4987 backlog lifetime again under-load
func TestRFC4987Backlog(t *testing.T) { // §2.2, §3.3, §4
	rawTest(t, "", func(t *testing.T, r *raw) {
		ln, err := (&stack.ListenConfig{Backlog: 4}).Listen(r.stacks[0], "tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		for port := range uint16(10) {
			r.tcp(syn(4000 + port))
			if _, s := r.one(); s.Flags != tcp.SYN|tcp.ACK {
				t.Fatalf("%v", &s)
			}
			n, cookies := r.stacks[0].Listeners()[0].Opening, r.stats().TCP.CookiesSent
			if n != min(int(port)+1, 4) || cookies != uint64(max(int(port)+1-4, 0)) {
				t.Errorf("after %d SYNs %d wait, and %d cookies were sent", port+1, n, cookies)
			}
		}
		time.Sleep(2 * time.Second)
		if _, segs := r.segments(); len(segs) != 4 {
			t.Errorf("%d SYN-ACKs go again, want 4", len(segs))
		}
		time.Sleep(time.Minute)
		if n := r.stacks[0].Listeners()[0].Opening; n != 0 {
			t.Errorf("%d wait after a minute", n)
		}
	})
}

package arp

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"arpeggio/stack/ethernet"
)

//rfc:826 reply swapped
//rfc:5227 answer unicast-replies
func TestAnswersRequestsForOwnAddress(t *testing.T) {
	l := newLab(t, Config{})
	for _, dst := range []ethernet.Addr{ethernet.Broadcast, meMAC} {
		l.frame(dst, request(aMAC, aIP, meIP))
		got := l.sent()
		want := Packet{Op: OpReply, SenderMAC: meMAC, SenderIP: meIP, TargetMAC: aMAC, TargetIP: aIP}
		if len(got) != 1 || got[0].Dst != aMAC || got[0].Packet != want {
			t.Fatalf("answer to a request sent to %v: %+v", dst, got)
		}
	}
	l.frame(ethernet.Broadcast, request(aMAC, aIP, bIP))
	l.frame(ethernet.Broadcast, Packet{Op: OpRequest, SenderMAC: bMAC, SenderIP: netip.IPv4Unspecified(), TargetIP: meIP})
	if got := l.sent(); len(got) != 1 || got[0].Dst != bMAC || !got[0].Packet.TargetIP.IsUnspecified() {
		t.Fatalf("want silence for others and an answer to the probe (RFC 5227 §2.1.1), got %+v", got)
	}
}

//rfc:1122 arp-used
//rfc:894 resolution
//rfc:826 ask
func TestQueryAsksThreeTimesASecondApartThenFails(t *testing.T) {
	l := newLab(t, Config{})
	start := l.now
	if _, v, _ := l.e.Resolve(l.now, aIP); v != Pending {
		t.Fatalf("Resolve says %v", v)
	}
	l.e.Resolve(l.now, aIP) // a second one waits along
	l.wait(2999 * time.Millisecond)
	acts := l.take()
	if got := pick(acts, ActSend); len(got) != 3 || !got[2].Dst.IsBroadcast() || got[0].Packet.SenderIP != meIP || !got[0].Packet.TargetMAC.IsZero() {
		t.Fatalf("requests: %+v", got)
	}
	if len(pick(acts, ActFailed)) != 0 {
		t.Fatal("gave up before the last request had its second")
	}
	l.wait(time.Millisecond)
	acts = l.take()
	if f := pick(acts, ActFailed); len(f) != 1 || f[0].Err != ErrNoAnswer || l.now.Sub(start) != 3*time.Second {
		t.Fatalf("after 3 s: %+v", f)
	}
	if !slices.Equal(ops(acts), []ChangeOp{OpQueryFailed}) {
		t.Fatalf("changes: %v", ops(acts))
	}
	if _, v, err := l.e.Resolve(l.now, aIP); v != Refused || err != ErrNoAnswer || len(l.sent()) != 0 {
		t.Fatalf("a failed address is remembered: %v %v", v, err)
	}
	l.wait(5 * time.Second)
	if _, v, _ := l.e.Resolve(l.now, aIP); v != Pending || len(l.sent()) != 1 {
		t.Fatal("5 s later it is asked for again")
	}
}

func TestSolicitedReplyIsReachableThenStale(t *testing.T) {
	l := newLab(t, Config{})
	l.e.Resolve(l.now, aIP)
	work := pick(l.take(), ActBegin)
	l.frame(meMAC, reply(aMAC, aIP))
	acts := l.take()
	put := pick(acts, ActPut)
	if len(put) != 1 || put[0].Change.Op != OpLearned || !put[0].Change.Evidence.Solicited || put[0].Change.Work != work[0].Work.ID {
		t.Fatalf("change: %+v", put)
	}
	if end := pick(acts, ActEnd); len(end) != 1 || end[0].Outcome != OutcomeAnswered || end[0].Work != work[0].Work {
		t.Fatalf("end of work: %+v", end)
	}
	if r := pick(acts, ActResolved); len(r) != 1 || r[0].MAC != aMAC {
		t.Fatalf("resolved: %+v", r)
	}
	if ev := put[0].Change.Evidence; ev.Len != 42 || ev.Kind != KindReply {
		t.Fatalf("evidence: %+v", ev)
	}
	l.wait(15*time.Second - 1)
	l.want(aIP, StateReachable, aMAC)
	l.wait(30*time.Second + 1)
	l.want(aIP, StateStale, aMAC)
	if got := l.take(); len(got) != 0 {
		t.Fatalf("becoming stale is no event: %+v", got)
	}
}

//rfc:1122 arp-flush
func TestStaleInUseIsProbedByUnicastThenBroadcastThenExpires(t *testing.T) {
	l := newLab(t, Config{})
	l.known()
	l.wait(time.Minute)
	if mac, v, _ := l.e.Resolve(l.now, aIP); v != Hit || mac != aMAC {
		t.Fatal("a stale binding is used")
	}
	l.want(aIP, StateDelay, aMAC)
	l.wait(5*time.Second - 1)
	if got := l.take(); len(got) != 0 {
		t.Fatalf("in the delay: %+v", got)
	}
	l.wait(3*time.Second + 1)
	acts := l.take()
	var dst []ethernet.Addr
	for _, a := range pick(acts, ActSend) {
		dst = append(dst, a.Dst)
	}
	if !slices.Equal(dst, []ethernet.Addr{aMAC, aMAC, ethernet.Broadcast}) {
		t.Fatalf("probes to %v", dst)
	}
	if x := pick(acts, ActExpire); len(x) != 1 || x[0].Change.Old != aMAC || x[0].Change.Work != pick(acts, ActBegin)[0].Work.ID {
		t.Fatalf("expiry: %+v", x)
	}
	l.want(aIP, StateFailed, ethernet.Addr{})
}

func TestProbedNeighbourThatAnswersSurvives(t *testing.T) {
	l := newLab(t, Config{})
	l.known()
	l.wait(time.Minute)
	l.e.Resolve(l.now, aIP)
	l.wait(6 * time.Second)
	l.frame(meMAC, reply(aMAC, aIP))
	l.want(aIP, StateReachable, aMAC)
	acts := l.take()
	if end := pick(acts, ActEnd); len(end) != 1 || end[0].Outcome != OutcomeAnswered || len(ops(acts)) != 0 {
		t.Fatalf("survival is no change: %v, %+v", ops(acts), end)
	}
}

func TestConfirmationByTransportKeepsReachable(t *testing.T) {
	l := newLab(t, Config{})
	l.known()
	for range 600 {
		l.wait(10 * time.Second)
		l.e.Confirm(l.now, aIP)
		l.e.Resolve(l.now, aIP)
	}
	l.want(aIP, StateReachable, aMAC)
	if got := l.take(); len(got) != 0 {
		t.Fatalf("confirmed for 100 minutes, and yet: %+v", got)
	}
	if n := testing.AllocsPerRun(100, func() { l.e.Confirm(l.now, aIP) }); n != 0 {
		t.Errorf("Confirm allocates %v times", n)
	}
}

//
//rfc:1122 arp-timeout gateway-pings
//rfc:826 aging
func TestUnconfirmedBindingIsAskedForThenExpires(t *testing.T) {
	l := newLab(t, Config{})
	l.known()
	l.wait(20*time.Minute - 3*time.Second - 1)
	if got := l.take(); len(got) != 0 {
		t.Fatalf("too early: %+v", got)
	}
	l.wait(3*time.Second + 1)
	acts := l.take()
	if n := len(pick(acts, ActSend)); n != 3 || !slices.Equal(ops(acts), []ChangeOp{OpExpired}) {
		t.Fatalf("%d requests, changes %v", n, ops(acts))
	}
	l.want(aIP, StateNone, ethernet.Addr{})

	l = newLab(t, Config{})
	l.known()
	l.wait(20*time.Minute - 2*time.Second)
	l.frame(ethernet.Broadcast, announcement(aMAC, aIP))
	l.wait(10 * time.Minute)
	l.want(aIP, StateStale, aMAC)

	l = newLab(t, Config{QuietExpiry: true, ExpireAfter: 2 * time.Second})
	l.known()
	l.wait(2 * time.Second)
	acts = l.take()
	if len(pick(acts, ActSend)) != 0 || !slices.Equal(ops(acts), []ChangeOp{OpExpired}) || len(pick(acts, ActBegin, ActEnd)) != 2 {
		t.Fatalf("quiet expiry: %+v", acts)
	}
}

//rfc:1122 arp-flood
func TestNeverMoreThanOneRequestASecond(t *testing.T) {
	l := newLab(t, Config{ExpireAfter: time.Minute})
	last := time.Time{}
	for step := range 20_000 {
		l.wait(37 * time.Millisecond)
		l.e.Resolve(l.now, aIP)
		switch step % 97 {
		case 3:
			l.frame(meMAC, reply(aMAC, aIP))
		case 4:
			l.frame(ethernet.Broadcast, announcement(xMAC, aIP))
		case 50:
			l.frame(ethernet.Broadcast, announcement(bMAC, aIP))
		}
		for _, a := range l.sent() {
			if a.Packet.TargetIP != aIP || a.Packet.Op != OpRequest {
				continue
			}
			// wait polls at exact deadlines, at most one step before now
			if !last.IsZero() && l.now.Sub(last) < time.Second-37*time.Millisecond {
				t.Fatalf("two requests %v apart", l.now.Sub(last))
			}
			last = l.now
		}
	}
	if l.e.Stats().RequestsSent < 100 {
		t.Fatal("the test asked for nothing")
	}
}

func TestLookupHitAllocatesNothing(t *testing.T) {
	l := newLab(t, Config{})
	l.known()
	if n := testing.AllocsPerRun(100, func() { l.e.Resolve(l.now, aIP) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestSameSeedSameActions(t *testing.T) {
	run := func() []Action {
		l := newLab(t, Config{Learn: LearnAlways, Probe: true})
		for i := range 2000 {
			ip := netip.AddrFrom4([4]byte{10, 9, 0, byte(20 + i%7)})
			mac := ethernet.Addr{2, 0, 0, 0, 0, byte(i % 5)}
			l.frame(ethernet.Broadcast, announcement(mac, ip))
			l.e.Resolve(l.now, ip)
			l.wait(time.Duration(i%11) * 300 * time.Millisecond)
		}
		return l.take()
	}
	a, b := run(), run()
	if len(a) < 100 || !slices.Equal(a, b) {
		t.Fatalf("two runs differ (%d and %d actions)", len(a), len(b))
	}
}

package arp

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"arpeggio/stack/ethernet"
)

// Each learning policy says which packet may make a binding.
//
//rfc:826 learn
func TestLearningPolicies(t *testing.T) {
	packets := []struct {
		name string
		dst  ethernet.Addr
		p    Packet
		want [4]bool // by policy, in the order of the constants
	}{
		{"request to us", ethernet.Broadcast, request(aMAC, aIP, meIP), [4]bool{true, false, false, true}},
		{"request to another", ethernet.Broadcast, request(aMAC, aIP, bIP), [4]bool{false, false, false, true}},
		{"reply to us, unasked", meMAC, reply(aMAC, aIP), [4]bool{false, false, false, true}},
		{"announcement", ethernet.Broadcast, announcement(aMAC, aIP), [4]bool{false, false, false, true}},
		{"gratuitous reply", ethernet.Broadcast, Packet{OpReply, aMAC, aIP, ethernet.Broadcast, aIP}, [4]bool{false, false, false, true}},
		{"probe", ethernet.Broadcast, request(aMAC, netip.IPv4Unspecified(), aIP), [4]bool{}},
		{"reply to another", bMAC, Packet{OpReply, aMAC, aIP, bMAC, bIP}, [4]bool{}},
		{"from outside our networks", ethernet.Broadcast, request(aMAC, netip.MustParseAddr("10.8.0.9"), meIP), [4]bool{}},
	}
	for _, c := range packets {
		for policy, want := range c.want {
			l := newLab(t, Config{Learn: LearnPolicy(policy)})
			l.frame(c.dst, c.p)
			got := len(pick(l.take(), ActPut)) == 1
			if s, _ := l.state(c.p.SenderIP); got != want || (s == StateStale) != want {
				t.Errorf("%s under policy %d: learned %v, state %v", c.name, policy, got, s)
			}
		}
	}
}

// Each move policy says what an unasked claim does to a live binding.
func TestMovePolicies(t *testing.T) {
	for _, c := range []struct {
		move    MovePolicy
		learn   LearnPolicy
		answers bool // does the old owner answer when asked
		want    ethernet.Addr
		ops     []ChangeOp
	}{
		{MoveVerify, LearnRequested, true, aMAC, []ChangeOp{OpRefused}},
		{MoveVerify, LearnRequested, false, xMAC, []ChangeOp{OpMoved}},
		{MoveVerify, LearnNever, false, aMAC, nil},
		{MoveStrict, LearnAlways, false, aMAC, []ChangeOp{OpRefused}},
		{MoveFirst, LearnAlways, false, aMAC, []ChangeOp{OpRefused}},
		{MoveCompat, LearnKnown, true, xMAC, []ChangeOp{OpMoved}},
	} {
		for i, claim := range []Packet{announcement(xMAC, aIP), reply(xMAC, aIP), request(xMAC, aIP, meIP)} {
			t.Run(fmt.Sprintf("%d-%d-%v-%d", c.move, c.learn, c.answers, i), func(t *testing.T) {
				l := newLab(t, Config{Move: c.move, Learn: c.learn})
				l.known()
				l.wait(time.Second)
				l.frame(meMAC, claim)
				for _, a := range l.e.Drain(nil) {
					if a.Kind == ActSend && a.Packet.Op == OpRequest && c.answers && a.Dst == aMAC {
						l.frame(meMAC, reply(aMAC, aIP))
					}
					l.acts = append(l.acts, a)
				}
				l.wait(1500 * time.Millisecond)
				if got := ops(l.take()); !slices.Equal(got, c.ops) {
					t.Errorf("changes %v, want %v", got, c.ops)
				}
				if _, mac := l.state(aIP); mac != c.want {
					t.Errorf("held by %v, want %v", mac, c.want)
				}
			})
		}
	}
}

func TestVerificationAsksTheOldOwnerByUnicast(t *testing.T) {
	l := newLab(t, Config{})
	l.known()
	l.wait(time.Second)
	l.frame(ethernet.Broadcast, announcement(xMAC, aIP))
	l.frame(ethernet.Broadcast, announcement(xMAC, aIP)) // again
	l.frame(ethernet.Broadcast, announcement(bMAC, aIP)) // a third party
	acts := l.take()
	if s := pick(acts, ActSend); len(s) != 1 || s[0].Dst != aMAC || s[0].Packet.TargetIP != aIP {
		t.Fatalf("sent %+v", s)
	}
	if r := pick(acts, ActRecord); len(r) != 1 || r[0].Change.MAC != bMAC {
		t.Fatalf("the third party: %+v", r)
	}
	l.wait(time.Second - 1)
	l.want(aIP, StateReachable, aMAC)
	l.wait(1)
	l.want(aIP, StateStale, xMAC)
	put := pick(l.take(), ActPut)
	if len(put) != 1 || put[0].Change.Old != aMAC || put[0].Change.Evidence.Kind != KindAnnouncement {
		t.Fatalf("%+v", put)
	}
}

// Two answers to one question: the first holds, the second is a claim like any
// other, and the rate limit delays its verification.
func TestSecondAnswerIsVerified(t *testing.T) {
	l := newLab(t, Config{})
	l.e.Resolve(l.now, aIP)
	l.frame(meMAC, reply(aMAC, aIP))
	l.take()
	l.frame(meMAC, reply(xMAC, aIP))
	l.want(aIP, StateReachable, aMAC)
	if s := l.sent(); len(s) != 0 {
		t.Fatalf("asked again within a second: %+v", s)
	}
	l.wait(time.Second)
	if s := l.sent(); len(s) != 1 || s[0].Dst != aMAC {
		t.Fatalf("sent %+v", s)
	}
	l.frame(meMAC, reply(aMAC, aIP))
	l.wait(time.Minute)
	_, mac := l.state(aIP)
	if acts := l.take(); !slices.Equal(ops(acts), []ChangeOp{OpRefused}) || mac != aMAC {
		t.Fatalf("%v, held by %v", ops(acts), mac)
	}
}

// A claim whose entry goes before it is decided is in the record all the same.
func TestUndecidedClaimIsRecorded(t *testing.T) {
	for name, end := range map[string]func(l *lab){
		"flushed": func(l *lab) { l.e.Flush() },
		"pinned":  func(l *lab) { l.e.Pin(l.now, aIP, bMAC) },
		"own":     func(l *lab) { l.e.AddAddress(l.now, netip.PrefixFrom(aIP, 24)) },
		"foreign": func(l *lab) { l.e.Foreign(l.now, aIP, Binding{MAC: bMAC}, true) },
	} {
		l := newLab(t, Config{})
		l.known()
		l.frame(ethernet.Broadcast, announcement(xMAC, aIP))
		end(l)
		r := pick(l.take(), ActRecord)
		if len(r) != 1 || r[0].Change.Op != OpRefused || r[0].Change.MAC != xMAC || r[0].Change.Old != aMAC || r[0].Change.Evidence.Kind != KindAnnouncement {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// A transport that hears from the old owner refutes the claim too.
func TestConfirmationRefutesAClaim(t *testing.T) {
	l := newLab(t, Config{})
	l.known()
	l.wait(time.Second)
	l.frame(ethernet.Broadcast, announcement(xMAC, aIP))
	l.e.Confirm(l.now, aIP)
	l.wait(time.Minute)
	if got := ops(l.take()); !slices.Equal(got, []ChangeOp{OpRefused}) {
		t.Fatalf("changes %v", got)
	}
	if _, mac := l.state(aIP); mac != aMAC {
		t.Fatalf("held by %v", mac)
	}
}

// Strict: a new owner gets the address by answering our broadcast.
func TestStrictMovesOnAnAnswerToABroadcast(t *testing.T) {
	l := newLab(t, Config{Move: MoveStrict})
	l.known()
	l.wait(time.Minute)
	l.e.Resolve(l.now, aIP)
	l.wait(7 * time.Second) // delay 5 s, two unicast probes, the broadcast is out
	l.frame(meMAC, reply(bMAC, aIP))
	l.want(aIP, StateReachable, bMAC)
}

func TestSourceMismatchIsSeen(t *testing.T) {
	in := func(cfg Config) *lab {
		l := newLab(t, cfg)
		p := request(aMAC, aIP, meIP)
		l.e.Input(l.now, ethernet.Header{Dst: meMAC, Src: xMAC, Type: ethernet.TypeARP}, p.AppendTo(nil))
		return l
	}
	l := in(Config{})
	if put := pick(l.take(), ActPut); len(put) != 1 || put[0].Change.Evidence.Source != xMAC || l.e.Stats().Mismatched != 1 {
		t.Errorf("taken by default, and marked: %+v", put)
	}
	l = in(Config{RejectMismatch: true})
	if acts := l.take(); len(acts) != 0 || l.e.Stats().Dropped[DropMismatch] != 1 {
		t.Errorf("rejected when so configured: %+v", acts)
	}
}

// Every reason to drop is counted under its name.
func TestDropsAreCountedByReason(t *testing.T) {
	group, ff := ethernet.Addr{1, 0, 0x5e, 0, 0, 1}, ethernet.Broadcast
	p := func(edit func(*Packet)) []byte {
		q := request(aMAC, aIP, meIP)
		edit(&q)
		return q.AppendTo(nil)
	}
	for _, c := range []struct {
		want DropReason
		dst  ethernet.Addr
		b    []byte
	}{
		{DropShort, ff, make([]byte, 27)},
		{DropUnusable, ff, make([]byte, 28)},
		{DropOperation, ff, p(func(q *Packet) { q.Op = 77 })},
		{DropReverse, ff, p(func(q *Packet) { q.Op = OpReverseRequest })},
		{DropInverse, ff, p(func(q *Packet) { q.Op = OpInverseRequest })},
		{DropSenderNull, ff, p(func(q *Packet) { q.SenderMAC = ethernet.Addr{} })},
		{DropSenderBroadcast, ff, p(func(q *Packet) { q.SenderMAC = ff })},
		{DropSenderMulticast, ff, p(func(q *Packet) { q.SenderMAC = group })},
		{DropSenderIP, ff, p(func(q *Packet) { q.SenderIP = netip.MustParseAddr("10.9.0.255") })},
		{DropSenderIP, ff, p(func(q *Packet) { q.Op, q.SenderIP = OpReply, netip.IPv4Unspecified() })},
		{DropEcho, ff, p(func(q *Packet) { q.SenderMAC = meMAC })},
		{DropNotForUs, bMAC, p(func(*Packet) {})},
		{DropForeignTarget, meMAC, p(func(q *Packet) { q.Op, q.TargetMAC, q.TargetIP = OpReply, bMAC, bIP })},
		{DropOffLink, ff, p(func(q *Packet) { q.SenderIP = netip.MustParseAddr("10.8.0.1") })},
		{DropPolicy, ff, p(func(q *Packet) { q.TargetIP = bIP })},
	} {
		l := newLab(t, Config{})
		l.e.Input(l.now, ethernet.Header{Dst: c.dst, Src: aMAC, Type: ethernet.TypeARP}, c.b)
		if st := l.e.Stats(); st.Dropped[c.want] != 1 || st.Entries != 0 {
			t.Errorf("%v: dropped %v, %d entries", c.want, st.Dropped, st.Entries)
		}
	}
	for r := DropShort; r < NumDropReasons; r++ {
		if r.String() == "" {
			t.Errorf("reason %d has no name", r)
		}
	}
}

// Whoever loses an address was last seen when it last spoke or a transport heard
// from it: not when the claim came, and never before it was seen at all.
func TestLosersWereLastSeen(t *testing.T) {
	for name, c := range map[string]struct {
		see  func(l *lab) // after a second
		want time.Duration
	}{
		"silent":    {func(*lab) {}, 0},
		"announced": {func(l *lab) { l.frame(ethernet.Broadcast, announcement(aMAC, aIP)) }, time.Second},
		"confirmed": {func(l *lab) { l.e.Confirm(l.now, aIP) }, time.Second},
		"seeded": {func(l *lab) {
			l.e.Flush()
			l.e.Seed(l.now, aIP, Binding{MAC: aMAC})
		}, -1},
	} {
		for _, policy := range []MovePolicy{MoveCompat, MoveVerify} {
			l := newLab(t, Config{Move: policy, Learn: LearnAlways})
			l.known()
			begin := l.now
			l.wait(time.Second)
			c.see(l)
			l.wait(10 * time.Second)
			l.take()
			l.frame(ethernet.Broadcast, announcement(xMAC, aIP))
			l.wait(30 * time.Second)
			put := pick(l.take(), ActPut)
			if len(put) != 1 || put[0].Change.Op != OpMoved {
				t.Fatalf("%s, %v: %+v", name, policy, put)
			}
			want := begin.Add(c.want)
			if c.want < 0 {
				want = time.Time{}
			}
			if got := put[0].Change.LastSeen; !got.Equal(want) {
				t.Errorf("%s, %v: last seen %v, want %v", name, policy, got, want)
			}
		}
	}
	l := newLab(t, Config{Learn: LearnAlways})
	l.known()
	begin := l.now
	l.wait(time.Hour)
	gone := pick(l.take(), ActExpire)
	if len(gone) != 1 || !gone[0].Change.LastSeen.Equal(begin) {
		t.Errorf("expired: %+v", gone)
	}
}

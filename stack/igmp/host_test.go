package igmp

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

var t0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// half draws the middle of every interval.
func half(n int64) int64 { return n / 2 }

// script drives a Host in time that it makes up.
type script struct {
	t   *testing.T
	h   *Host
	now time.Time
}

func start(t *testing.T, cfg HostConfig) *script {
	cfg.Int64N = half
	return &script{t, NewHost(cfg), t0}
}

func (s *script) after(d time.Duration) *script { s.now = s.now.Add(d); return s }

func (s *script) set(g netip.Addr, f Filter) *script { s.h.Set(s.now, g, f); return s }

func (s *script) in(m Message) *script {
	s.t.Helper()
	if m.Type == Query && !m.Group.IsValid() {
		m.Group = a("0.0.0.0")
	}
	if err := s.h.Input(s.now, m.AppendTo(nil)); err != nil {
		s.t.Fatal(err)
	}
	return s
}

var letters = map[RecordType]string{IsInclude: "IS_IN", IsExclude: "IS_EX", ToInclude: "TO_IN", ToExclude: "TO_EX", Allow: "ALLOW", Block: "BLOCK"}

// sends checks what is emitted now: messages by ", ".
func (s *script) sends(want string) *script {
	s.t.Helper()
	var got []string
	s.h.Emit(s.now, func(p Packet) {
		m, err := Parse(p.Payload)
		if err != nil {
			s.t.Fatal(err)
		}
		dst := m.Group
		text := map[Type]string{ReportV1: "v1", ReportV2: "v2", Leave: "leave"}[m.Type] + " " + fmt.Sprint(m.Group)
		switch m.Type {
		case Leave:
			dst = AllRouters
		case ReportV3:
			dst, text = AllReports, ""
			for i, r := range m.Records {
				if i > 0 {
					text += " "
				}
				text += letters[r.Type] + "(" + r.Group.String() + strings.TrimSuffix(" "+strings.Trim(fmt.Sprint(r.Sources), "[]"), " ") + ")"
			}
		}
		if p.Dst != dst {
			s.t.Errorf("%s went to %v", text, p.Dst)
		}
		got = append(got, text)
	})
	if strings.Join(got, ", ") != want {
		s.t.Errorf("at %v: sent %q, want %q", s.now.Sub(t0), got, want)
	}
	return s
}

// idle checks that nothing is due any more.
func (s *script) idle() *script {
	s.t.Helper()
	if d := s.h.Deadline(); !d.IsZero() {
		s.t.Errorf("something is due at %v", d.Sub(t0))
	}
	return s
}

const unso3 = unsolicited3 / 2

// RFC 3376 §5.1: a change is told at once and Robustness-1 times again.
//
//rfc:3376 changes
func TestVersion3Changes(t *testing.T) {
	start(t, HostConfig{}).
		set(g1, Everyone).sends("TO_EX(239.1.2.3)").after(unso3).sends("TO_EX(239.1.2.3)").idle().
		set(g1, NewFilter(true, s1)).sends("BLOCK(239.1.2.3 10.0.0.1)").after(unso3).sends("BLOCK(239.1.2.3 10.0.0.1)").idle().
		set(g1, NewFilter(true, s2)).sends("ALLOW(239.1.2.3 10.0.0.1) BLOCK(239.1.2.3 10.0.0.2)").
		after(unso3).sends("ALLOW(239.1.2.3 10.0.0.1) BLOCK(239.1.2.3 10.0.0.2)").idle().
		set(g1, NewFilter(false, s3)).sends("TO_IN(239.1.2.3 10.0.0.3)").after(unso3).sends("TO_IN(239.1.2.3 10.0.0.3)").idle().
		set(g1, Filter{}).sends("BLOCK(239.1.2.3 10.0.0.3)").after(unso3).sends("BLOCK(239.1.2.3 10.0.0.3)").idle()
	// A newer change overtakes the repetition of an older one.
	s := start(t, HostConfig{Robustness: 3}).
		set(g1, Everyone).sends("TO_EX(239.1.2.3)").
		set(g1, NewFilter(true, s1)).sends("TO_EX(239.1.2.3 10.0.0.1)").
		after(unso3).sends("TO_EX(239.1.2.3 10.0.0.1)").after(unso3).sends("BLOCK(239.1.2.3 10.0.0.1)").idle().
		set(g1, Filter{}).sends("TO_IN(239.1.2.3)").after(unso3).
		set(g1, Everyone).sends("TO_EX(239.1.2.3)").after(unso3).sends("TO_EX(239.1.2.3)").after(unso3).sends("TO_EX(239.1.2.3)").idle().
		set(g1, Filter{}).sends("TO_IN(239.1.2.3)").after(unso3).sends("TO_IN(239.1.2.3)").after(unso3).sends("TO_IN(239.1.2.3)").idle()
	if len(s.h.groups) != 0 {
		t.Errorf("%d groups are left", len(s.h.groups))
	}
}

// RFC 3376 §6, RFC 1112 §4: nobody reports 224.0.0.1, nor what is no group.
//
//rfc:2236 all-systems
//rfc:3376 all-systems
func TestNeverReported(t *testing.T) {
	start(t, HostConfig{}).set(AllSystems, Everyone).set(s1, Everyone).sends("").idle()
	start(t, HostConfig{}).in(Message{Type: Query, Version: 3, MaxResp: time.Second}).idle()
}

// RFC 3376 §5.2: answers to queries.
//
//rfc:3376 general merged robustness no-suppression sources not-at-once
func TestVersion3Queries(t *testing.T) {
	joined := func() *script {
		return start(t, HostConfig{Robustness: 1}).set(g1, NewFilter(true, s1)).set(g2, NewFilter(false, s1, s2)).
			sends("TO_EX(239.1.2.3 10.0.0.1) ALLOW(239.1.2.4 10.0.0.1 10.0.0.2)").idle()
	}
	q := func(g netip.Addr, max time.Duration, sources ...netip.Addr) Message {
		return Message{Type: Query, Version: 3, Group: g, MaxResp: max, Robustness: 1, Sources: sources}
	}
	all := "IS_EX(239.1.2.3 10.0.0.1) IS_IN(239.1.2.4 10.0.0.1 10.0.0.2)"
	joined().in(q(netip.Addr{}, 10*time.Second)).sends("").after(5 * time.Second).sends(all).idle()
	joined().in(q(g1, time.Second)).after(500 * time.Millisecond).sends("IS_EX(239.1.2.3 10.0.0.1)").idle()
	joined().in(q(a("239.9.9.9"), time.Second)).idle()
	// Sources: of an excluding member those not excluded, of an including one
	// those included, and silence when that is nothing.
	joined().in(q(g1, time.Second, s1, s2)).in(q(g2, time.Second, s2, s3)).after(time.Second).
		sends("IS_IN(239.1.2.3 10.0.0.2) IS_IN(239.1.2.4 10.0.0.2)").idle()
	joined().in(q(g1, time.Second, s1)).in(q(g2, time.Second, s3)).after(time.Second).sends("").idle()
	// Rule 1: a general answer that comes sooner speaks for all.
	joined().in(q(netip.Addr{}, time.Second)).in(q(g1, 10*time.Second)).after(10 * time.Second).sends(all).idle()
	// Rule 4 and 5: one answer for several queries, at the earlier time.
	joined().in(q(g2, 10*time.Second, s1)).in(q(g2, time.Second, s2)).after(500 * time.Millisecond).
		sends("IS_IN(239.1.2.4 10.0.0.1 10.0.0.2)").idle()
	joined().in(q(g2, time.Second, s1)).in(q(g2, 10*time.Second)).after(500 * time.Millisecond).
		sends("IS_IN(239.1.2.4 10.0.0.1 10.0.0.2)").idle()
	// The querier's robustness is adopted.
	joined().in(Message{Type: Query, Version: 3, MaxResp: time.Second, Robustness: 2}).after(time.Second).sends(all).
		set(g1, Everyone).sends("ALLOW(239.1.2.3 10.0.0.1)").after(unso3).sends("ALLOW(239.1.2.3 10.0.0.1)").idle()
	// Other hosts' reports silence nobody.
	joined().in(q(g1, time.Second)).in(Message{Type: ReportV2, Group: g1}).after(time.Second).sends("IS_EX(239.1.2.3 10.0.0.1)").idle()
}

// An answer to a general query speaks for each group, when it comes sooner.
//
//rfc:3376 general-first
func TestRFC3376GeneralAnswerComesFirst(t *testing.T) { // §5.2 rule 1
	start(t, HostConfig{Robustness: 1}).set(g1, Everyone).sends("TO_EX(239.1.2.3)").idle().
		in(Message{Type: Query, Version: 3, MaxResp: time.Second, Robustness: 1}).
		in(Message{Type: Query, Version: 3, Group: g1, MaxResp: 10 * time.Second, Robustness: 1}).
		after(500 * time.Millisecond).sends("IS_EX(239.1.2.3)").idle()
}

// RFC 2236 §3: version 2.
//
//rfc:2236 report query shorter suppressed suppressed-version-1 leave leave-silent all-routers
func TestVersion2(t *testing.T) {
	joined := func() *script {
		return start(t, HostConfig{Version: 2}).set(g1, Everyone).sends("v2 239.1.2.3").
			after(unsolicited2 / 2).sends("v2 239.1.2.3").idle()
	}
	joined().set(g1, Filter{}).sends("leave 239.1.2.3").idle()
	q := Message{Type: Query, Version: 2, MaxResp: 10 * time.Second}
	joined().in(q).sends("").after(5 * time.Second).sends("v2 239.1.2.3").idle()
	report := Message{Type: ReportV2, Group: g1}
	joined().in(q).in(report).after(10*time.Second).sends("").set(g1, Filter{}).sends("").idle() // another one is the last
	joined().in(q).in(Message{Type: ReportV1, Group: g1}).idle()
	joined().in(q).in(Message{Type: ReportV2, Group: g2}).after(5 * time.Second).sends("v2 239.1.2.3").idle()
	// A running timer is shortened and never lengthened.
	soon := Message{Type: Query, Version: 2, Group: g1, MaxResp: time.Second}
	joined().in(q).in(soon).after(500 * time.Millisecond).sends("v2 239.1.2.3").idle()
	joined().in(soon).in(q).after(500 * time.Millisecond).sends("v2 239.1.2.3").idle()
	joined().in(Message{Type: Query, Version: 2, Group: g2, MaxResp: time.Second}).idle()
	// Gone and back before anything was sent.
	start(t, HostConfig{Version: 2}).set(g1, Everyone).set(g1, Filter{}).sends("").idle()
	joined().set(g1, Filter{}).set(g1, Everyone).sends("v2 239.1.2.3")
	// Filters of sources are unknown to version 2: one who wants some is a member.
	start(t, HostConfig{Version: 2}).set(g1, NewFilter(false, s1)).sends("v2 239.1.2.3").set(g1, Everyone).sends("")
}

// RFC 3376 §7.2: a host speaks the oldest version of the queriers it heard of
// late, and forgets what was pending when that changes.
//
//rfc:3376 older-querier mode-cancels version-1
//rfc:2236 version-1 version-1-leave
func TestCompatibility(t *testing.T) {
	silence := DefaultRobustness*DefaultQueryInterval + DefaultQueryResponse
	s := start(t, HostConfig{}).set(g1, Everyone).sends("TO_EX(239.1.2.3)").
		in(Message{Type: Query, Version: 2, MaxResp: time.Second}).
		after(time.Second).sends("v2 239.1.2.3").idle()
	if s.h.Version() != 2 {
		t.Errorf("version %d", s.h.Version())
	}
	s.in(Message{Type: Query, Version: 1}).after(5*time.Second).sends("v1 239.1.2.3").
		set(g1, Filter{}).sends("").set(g1, Everyone).sends("v1 239.1.2.3").after(unsolicited2 / 2).sends("v1 239.1.2.3").idle()
	// Version 1's querier has fallen silent; version 2's is heard on.
	s.in(Message{Type: Query, Version: 2, MaxResp: time.Second}).after(time.Second).sends("v1 239.1.2.3")
	s.after(silence-8*time.Second).in(Message{Type: Query, Version: 2, MaxResp: time.Second}).after(time.Second).sends("v2 239.1.2.3").
		set(g1, Filter{}).sends("leave 239.1.2.3").idle()
	// And then nobody but version 3's.
	s.after(silence).in(Message{Type: Query, Version: 3, MaxResp: time.Second}).
		set(g1, Everyone).sends("TO_EX(239.1.2.3)").after(unso3).sends("TO_EX(239.1.2.3)").idle()
	// A query for one group says nothing about the querier's version.
	start(t, HostConfig{Robustness: 1}).set(g1, Everyone).sends("TO_EX(239.1.2.3)").
		in(Message{Type: Query, Version: 2, Group: g1, MaxResp: time.Second}).after(time.Second).sends("IS_EX(239.1.2.3)").idle()
	// A host that is told to speak no newer version never does.
	start(t, HostConfig{Version: 1}).set(g1, Everyone).in(Message{Type: Query, Version: 3, MaxResp: time.Second}).sends("v1 239.1.2.3").
		set(g1, Filter{}).sends("").idle()
}

// RFC 3376 §4.1.6 and §8.1, RFC 2236 §8.1: a robustness of zero is none.
//
//rfc:3376 robustness-zero
//rfc:2236 robustness-zero
func TestRobustnessIsNeverZero(t *testing.T) {
	for _, version := range []Version{2, 3} {
		h := NewHost(HostConfig{Version: version, Int64N: half})
		if err := h.Input(t0, (&Message{Type: Query, Version: 3, Group: a("0.0.0.0"), MaxResp: time.Second}).AppendTo(nil)); err != nil {
			t.Fatal(err)
		}
		if NewHost(HostConfig{}).robustness != DefaultRobustness || h.robustness != DefaultRobustness {
			t.Errorf("version %d: a robustness of %d", version, h.robustness)
		}
	}
}

// Many groups and sources: packets that fit the MTU and say everything.
//
//rfc:3376 packing exclude-cut
func TestPacking(t *testing.T) {
	h := NewHost(HostConfig{MTU: 100, Robustness: 1, Int64N: half})
	want := map[netip.Addr][]netip.Addr{}
	for i := range 20 {
		g := netip.AddrFrom4([4]byte{239, 0, 0, byte(i)})
		for k := range i * 3 {
			want[g] = append(want[g], netip.AddrFrom4([4]byte{10, 0, byte(i), byte(k)}))
		}
		h.Set(t0, g, NewFilter(false, want[g]...))
	}
	packets := 0
	h.Emit(t0, func(p Packet) {
		packets++
		if len(p.Payload)+ipHeader > 100 {
			t.Errorf("packet of %d octets", len(p.Payload)+ipHeader)
		}
		m, err := Parse(p.Payload)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range m.Records {
			want[r.Group] = minus(want[r.Group], r.Sources)
		}
	})
	for g, left := range want {
		if len(left) > 0 {
			t.Errorf("%v: %d sources were not told", g, len(left))
		}
	}
	if packets < 40 {
		t.Errorf("only %d packets: the test shows nothing", packets)
	}
	// What is excluded is told only as far as it fits.
	h = NewHost(HostConfig{MTU: 68})
	many := make([]netip.Addr, 100)
	for i := range many {
		many[i] = netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
	}
	h.Set(t0, g1, NewFilter(true, many...))
	packets = 0
	h.Emit(t0, func(p Packet) {
		if m, _ := Parse(p.Payload); len(m.Records) != 1 || len(m.Records[0].Sources) != 7 {
			t.Errorf("%+v", m)
		}
		packets++
	})
	if packets != 1 {
		t.Errorf("%d packets", packets)
	}
}

// RFC 3376 §3.2: what an interface receives for several sockets.
//
//rfc:3376 merge
func TestMerge(t *testing.T) {
	in := func(s ...netip.Addr) Filter { return NewFilter(false, s...) }
	ex := func(s ...netip.Addr) Filter { return NewFilter(true, s...) }
	for _, tc := range []struct {
		filters []Filter
		want    Filter
	}{
		{nil, Filter{}},
		{[]Filter{in(s2, s1, s2)}, in(s1, s2)},
		{[]Filter{in(s1), in(s2)}, in(s1, s2)},
		{[]Filter{ex(s1, s2), ex(s2, s3)}, ex(s2)},
		{[]Filter{ex(s1, s2), in(s1)}, ex(s2)},
		{[]Filter{in(s1), ex(s1, s2), ex(s1, s2, s3), in(s3)}, ex(s2)},
		{[]Filter{ex(s1), Everyone}, Everyone},
	} {
		got := Merge(tc.filters...)
		if !got.Equal(tc.want) {
			t.Errorf("%v: %v, want %v", tc.filters, got, tc.want)
		}
		for _, s := range []netip.Addr{s1, s2, s3, g1} {
			wanted := slices.ContainsFunc(tc.filters, func(f Filter) bool { return f.Allows(s) })
			if got.Allows(s) != wanted {
				t.Errorf("%v: source %v allowed %v", tc.filters, s, !wanted)
			}
		}
	}
}

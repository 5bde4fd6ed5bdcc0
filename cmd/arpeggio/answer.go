package main

import (
	"fmt"
	"strings"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/vendors"
	"arpeggio/arp/versioned"
	"arpeggio/internal/cli"
	"arpeggio/stack/ethernet"
)

// answerJSON is who held an address at a time, for programs.
type answerJSON struct {
	IP        string         `json:"ip"`
	VLAN      any            `json:"vlan"` // a number, 0 when untagged; "outer.inner" for two tags
	Domain    string         `json:"domain"`
	Time      time.Time      `json:"time"`
	Holder    *string        `json:"holder"` // null: nobody
	Interval  *intervalJSON  `json:"interval"`
	FirstSeen *time.Time     `json:"first_seen"`
	LastSeen  *time.Time     `json:"last_seen"`
	Commit    *string        `json:"commit"`
	Disputed  bool           `json:"disputed"`
	MACs      []string       `json:"macs"`             // the holder first
	Claimants []claimantJSON `json:"claimants"`        // who held it, and who claimed it in vain (refused)
	Before    *claimantJSON  `json:"before,omitempty"` // who had it last, and who had it next
	After     *nextJSON      `json:"after,omitempty"`
}

type intervalJSON struct {
	From  time.Time  `json:"from"`
	Until *time.Time `json:"until"` // null: nothing has ended it
}

// nextJSON is who took the address.
type nextJSON struct {
	MAC    string    `json:"mac"`
	From   time.Time `json:"from"`
	Commit string    `json:"commit"`
}

// claimantJSON is a stretch of time in which a MAC held the address, or a claim
// that was not believed, at its time.
type claimantJSON struct {
	MAC       string     `json:"mac"`
	Vendor    string     `json:"vendor,omitempty"`
	From      time.Time  `json:"from"`
	Until     *time.Time `json:"until"`
	FirstSeen time.Time  `json:"first_seen"`
	LastSeen  *time.Time `json:"last_seen"`
	Frames    uint64     `json:"frames,omitempty"`
	Learned   string     `json:"learned,omitempty"`
	Interface string     `json:"iface,omitempty"`
	Node      string     `json:"node,omitempty"`
	Commit    string     `json:"commit"`
	Refused   string     `json:"refused,omitempty"` // the rule that kept the address from it
	Claims    int        `json:"claims,omitempty"`  // how many claims that were
}

// timeOrNull is nil for the zero time.
func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func toClaimantJSON(h *versioned.Holding, names *vendors.Table) *claimantJSON {
	if h == nil {
		return nil
	}
	return &claimantJSON{MAC: h.MAC.String(), Vendor: names.Name(h.MAC), From: h.From.UTC(), Until: timeOrNull(h.Until), FirstSeen: firstSeen(h), LastSeen: timeOrNull(h.Seen),
		Frames: h.Frames, Learned: h.Learned, Interface: h.Interface, Node: h.Node, Commit: h.Commit.String()}
}

// firstSeen is when the holder was first seen with the address.
func firstSeen(h *versioned.Holding) time.Time {
	if h.First.IsZero() {
		return h.From.UTC()
	}
	return h.First.UTC()
}

func toRefusedJSON(c *versioned.Claim, names *vendors.Table) claimantJSON {
	at := c.Time.UTC()
	return claimantJSON{MAC: c.MAC.String(), Vendor: names.Name(c.MAC), From: at, Until: &at, FirstSeen: at, LastSeen: &at,
		Learned: c.Learned, Interface: c.Interface, Node: c.Node, Commit: c.Commit.String(), Refused: c.Reason(), Claims: c.Count}
}

// vlanJSON is a VLAN as programs read it.
func vlanJSON(v ethernet.VLAN) any {
	if v.Outer != 0 {
		return v.String()
	}
	return v.Inner
}

// claimants are those that an answer lists: the holder, and all when it was
// disputed.
func claimants(ans *versioned.Answer) []versioned.Holding {
	switch {
	case ans.Disputed():
		return ans.Claimants
	case ans.Holder != nil:
		return []versioned.Holding{*ans.Holder}
	}
	return nil
}

func toAnswerJSON(k arp.Key, at time.Time, ans *versioned.Answer, names *vendors.Table) answerJSON {
	j := answerJSON{IP: k.Addr.String(), VLAN: vlanJSON(k.VLAN), Domain: k.Domain, Time: at.UTC(), Disputed: ans.Disputed(),
		MACs: []string{}, Claimants: []claimantJSON{}, Before: toClaimantJSON(ans.Before, names)}
	if h := ans.After; h != nil {
		j.After = &nextJSON{h.MAC.String(), h.From.UTC(), h.Commit.String()}
	}
	if h := toClaimantJSON(ans.Holder, names); h != nil {
		j.Holder, j.Interval = &h.MAC, &intervalJSON{h.From, h.Until}
		j.FirstSeen, j.LastSeen, j.Commit = &h.FirstSeen, h.LastSeen, &h.Commit
	}
	for _, m := range ans.MACs() {
		j.MACs = append(j.MACs, m.String())
	}
	for _, h := range claimants(ans) {
		j.Claimants = append(j.Claimants, *toClaimantJSON(&h, names))
	}
	for _, c := range ans.Claims {
		j.Claimants = append(j.Claimants, toRefusedJSON(&c, names))
	}
	return j
}

// answer prints an answer: one line, and, when all is wanted, the claimants of a
// dispute below it.
func (s *session) answer(k arp.Key, at time.Time, ans *versioned.Answer, all bool) {
	if s.out.IsJSON() {
		s.out.JSON(toAnswerJSON(k, at, ans, &s.vendors))
		return
	}
	p := teller{s, at}
	head := s.out.Paint(cli.Heading, k.String()) + " at " + p.full(at) + ": "
	if ans.Holder == nil {
		s.out.Printf("%snobody%s; %s\n", head, p.claimed(ans), p.around(ans))
	} else {
		s.out.Printf("%s%s\n", head, p.holder(ans))
	}
	if !all || !ans.Disputed() {
		return
	}
	var t cli.Columns
	for _, h := range ans.Claimants {
		until, seen, frames := "", "", ""
		if !h.Until.IsZero() {
			until = "until " + p.clock(h.Until)
		}
		if !h.Seen.IsZero() {
			seen = "last seen " + p.clock(h.Seen)
		}
		if h.Frames > 0 {
			frames = count(int(min(h.Frames, 1<<53)), "frame")
		}
		t.Row(cli.Cell{Text: " " + h.MAC.String()}, cli.Cell{Text: "since " + p.clock(h.From)}, cli.Cell{Text: until}, cli.Cell{Text: seen},
			cli.Cell{Text: frames}, cli.Cell{Text: h.Commit.Short(), Style: cli.ID})
	}
	for _, c := range ans.Claims {
		t.Row(cli.Cell{Text: " " + c.MAC.String()}, cli.Cell{Text: "refused " + p.clock(c.Time)}, cli.Cell{Text: cli.Clean(c.Reason(), false)}, cli.Cell{},
			cli.Cell{Text: count(c.Count, "claim")}, cli.Cell{Text: c.Commit.Short(), Style: cli.ID})
	}
	t.Print(s.out)
}

// teller puts an answer into words, with times of the day that is asked about
// as clocks.
type teller struct {
	s  *session
	at time.Time
}

func (p teller) full(t time.Time) string {
	return t.In(p.s.Now.Location()).Format("2006-01-02 15:04:05.999999999")
}

func (p teller) clock(t time.Time) string {
	at, t := p.at.In(p.s.Now.Location()), t.In(p.s.Now.Location())
	if at.Format(time.DateOnly) == t.Format(time.DateOnly) {
		return t.Format("15:04:05.999999999")
	}
	return p.full(t)
}

// holder describes who held the address.
func (p teller) holder(ans *versioned.Answer) string {
	h, o := ans.Holder, p.s.out
	var b strings.Builder
	b.WriteString(o.Paint(cli.Ref, h.MAC.String()))
	if name := p.s.vendors.Name(h.MAC); name != "" {
		fmt.Fprintf(&b, " (%s)", name)
	}
	fmt.Fprintf(&b, " since %s", p.clock(h.From))
	if first := firstSeen(h); first.Before(h.From) {
		fmt.Fprintf(&b, ", first seen %s", p.clock(first))
	}
	var how []string
	for _, part := range []string{h.Learned, h.Interface} {
		if part != "" {
			how = append(how, part)
		}
	}
	if h.Node != "" {
		how = append(how, "node "+h.Node)
	}
	if h.State == versioned.Static {
		how = append(how, "pinned")
	}
	if len(how) > 0 {
		fmt.Fprintf(&b, " (%s)", cli.Clean(strings.Join(how, ", "), false))
	}
	b.WriteString(p.seen(h))
	switch next := ans.After; {
	case h.Until.IsZero():
		b.WriteString("; no change since")
	case next != nil && next.From.Equal(h.Until):
		fmt.Fprintf(&b, "; until %s when %v took it", p.clock(h.Until), next.MAC)
	default:
		fmt.Fprintf(&b, "; until %s, then nobody", p.clock(h.Until))
	}
	if ans.Disputed() {
		fmt.Fprintf(&b, "; %s", o.Paint(cli.Removed, "disputed"))
		word := " by "
		for _, m := range ans.MACs()[1:] {
			b.WriteString(word + m.String())
			word = ", "
		}
	}
	return b.String() + "; commit " + o.Paint(cli.ID, h.Commit.Short())
}

// claimed names who claimed in vain what nobody held: an address of the node's
// own is no entry.
func (p teller) claimed(ans *versioned.Answer) string {
	var b strings.Builder
	for _, c := range ans.Claims {
		fmt.Fprintf(&b, "; %v claimed it, refused", c.MAC)
		if !c.Against.IsZero() {
			fmt.Fprintf(&b, " for %v", c.Against)
		}
	}
	return b.String()
}

func (p teller) seen(h *versioned.Holding) string {
	if h.Seen.IsZero() {
		return ""
	}
	return ", last seen " + p.clock(h.Seen)
}

// around describes who had the address before and after nobody had.
func (p teller) around(ans *versioned.Answer) string {
	var parts []string
	id := func(h *versioned.Holding) string { return ", commit " + p.s.out.Paint(cli.ID, h.Commit.Short()) }
	if h := ans.Before; h != nil {
		parts = append(parts, fmt.Sprintf("before it %v until %s%s%s", h.MAC, p.clock(h.Until), p.seen(h), id(h)))
	}
	if h := ans.After; h != nil {
		parts = append(parts, fmt.Sprintf("after it %v from %s%s", h.MAC, p.clock(h.From), id(h)))
	}
	if len(parts) == 0 {
		return "nobody before and nobody after"
	}
	return strings.Join(parts, "; ")
}

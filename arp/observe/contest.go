package observe

import (
	"slices"
	"time"

	"arpeggio/stack/ethernet"
)

// contest says who disputes an address with whom. It stays when its episodes
// are over, so that the roles are known should they begin again.
type contest struct {
	victim    ethernet.Addr
	offenders []ethernet.Addr // at most maxOffenders, latest last
	episodes  []*episode      // under way
}

const maxOffenders = 4

func (en *entry) contestOf() *contest {
	if en.more == nil {
		return nil
	}
	return en.more.contest
}

// dispute is a finding: offender uses the address of victim.
type dispute struct {
	victim, offender ethernet.Addr
	spoof            bool
	since            int64 // when the rival spoke
}

type verdict uint8

const (
	noVerdict     verdict = iota
	disputeGoesOn         // the move is part of an episode under way, or as it should be
	disputeBegins         // an episode begins
)

// judge says whether a turn shows that two stations use one address.
//
// X, Y, X within DupWindow is the proof. Y, who came between, is the offender,
// unless X alone is new to the address, or an earlier dispute has told the
// roles. It is a spoof when the offender
// holds another address of this class, else a duplicate.
//
// One frame is enough when it is an answer that nobody asked for, sent to one
// station only, by a station that holds another address, while the holder
// talks: no station that takes an address over in good faith does this. It
// announces itself to all (RFC 5227 §2.3, RFC 9568 §8.1.2), or it was asked.
func (e *Engine) judge(t *turn) (dispute, verdict) {
	en, mac, dup := t.en, t.s.MAC, int64(e.cfg.DupWindow)
	if sharesLoad(t.before.mac, mac) {
		return dispute{}, disputeGoesOn // by agreement
	}
	c := en.contestOf()
	if c != nil && c.involves(t.before.mac) && c.involves(mac) && c.goesOn(e, t.s, t.before.mac, mac) {
		return dispute{}, disputeGoesOn
	}
	d := dispute{victim: mac, offender: t.before.mac, since: t.before.last}
	switch {
	case dup < 0:
		return dispute{}, noVerdict
	case e.within(t.spoke, dup):
		if e.recent(&en.cur) && !e.recent(&t.before) {
			d.victim, d.offender = t.before.mac, mac
		} else if c != nil && slices.Contains(c.offenders, mac) {
			if t.before.mac == c.victim {
				d.victim, d.offender = t.before.mac, mac
			} else if len(c.episodes) > 0 {
				d.victim = c.victim
			}
		}
	case e.within(t.before.last, dup) && t.st.ownsAnother(en) && e.whispered(t.s, en):
		d.victim, d.offender, d.since = t.before.mac, mac, e.now
	default:
		return dispute{}, noVerdict
	}
	o := e.stations.get(macKey{en.key.seg, packMAC(d.offender)})
	d.spoof = o != nil && o.ownsAnother(en)
	return d, disputeBegins
}

// recent reports whether a MAC is new to its address.
func (e *Engine) recent(o *owner) bool { return e.within(o.first, int64(e.cfg.EpisodeGap)) }

// whispered reports whether the sighting is an answer to one station that did
// not ask.
func (e *Engine) whispered(s *Sighting, en *entry) bool {
	answer := s.Kind == KindReply || s.Kind == KindAdvertisement || s.Kind.Gratuitous()
	return answer && !s.Dest.IsMulticast() && !e.within(max(en.asked, en.polled), e.answerTime())
}

// involves reports whether mac is a party.
func (c *contest) involves(mac ethernet.Addr) bool {
	return c.victim == mac || slices.Contains(c.offenders, mac)
}

// goesOn counts a frame of a dispute in the episodes of the parties a and b,
// and reports whether there is one.
func (c *contest) goesOn(e *Engine, s *Sighting, a, b ethernet.Addr) (any bool) {
	for _, ep := range c.episodes {
		if ep.key.typ == DupIP || ep.event.MAC == a || ep.event.MAC == b {
			e.again(ep, s)
			any = true
		}
	}
	return any
}

// accuse begins the episode of a dispute, or counts it in the one under way. It
// returns the episode, nil when there is no room for it.
func (e *Engine) accuse(s *Sighting, en *entry, d dispute) *episode {
	x := en.extra()
	if x.contest == nil {
		x.contest = &contest{}
	}
	c := x.contest
	if len(c.episodes) == 0 {
		c.victim = d.victim
		c.offenders = slices.DeleteFunc(c.offenders, func(m ethernet.Addr) bool { return m == d.victim })
	}
	if d.offender != c.victim && !slices.Contains(c.offenders, d.offender) {
		if len(c.offenders) == maxOffenders {
			c.offenders = slices.Delete(c.offenders, 0, 1)
		}
		c.offenders = append(c.offenders, d.offender)
	}
	en.confirmed = true
	k := episodeKey{typ: DupIP, addr: en.key}
	if d.spoof {
		k.typ, k.mac = Spoof, packMAC(d.offender)
	}
	ep, r := e.occur(k, e.cfg.EpisodeGap, s)
	if r == nil {
		return ep
	}
	r.MAC, r.Old = d.offender, d.victim
	r.Previous = stamp(d.since)
	if d.spoof {
		r.Detail = d.victim.String() + " holds the address and talks"
	} else {
		r.Detail = d.victim.String() + " uses it too"
	}
	ep.tell(r)
	ep.en = en
	c.episodes = append(c.episodes, ep)
	return ep
}

// span is a duration as people read it.
func span(ns int64) string {
	d := time.Duration(ns)
	switch {
	case d >= 48*time.Hour:
		return plural(int64(d/(24*time.Hour)), "day")
	case d >= time.Minute:
		return d.Round(time.Second).String()
	}
	return d.Round(10 * time.Millisecond).String()
}

package observe

import (
	"time"

	"arpeggio/arp"
)

// turn is a claim by a MAC that does not hold the address, or that does and was
// not the last to speak.
type turn struct {
	s      *Sighting
	en     *entry
	st     *station // the claimant
	fresh  bool     // seen for the first time
	before owner    // who spoke last
	spoke  int64    // when the claimant spoke for the address last; 0: never
	typ    Type     // TypeNone when the claimant repeats itself
}

// speak handles a turn: arpwatch's algorithm, the question who is right, and
// the policy.
func (e *Engine) speak(s *Sighting, en *entry) {
	t := turn{s: s, en: en, before: en.cur}
	t.st, t.fresh = e.station(en.key.seg, s.MAC)
	defer e.leave(t.st)
	switch place := en.speaker(s.MAC, e.now, e.cfg.MaxMACs); {
	case place < 0:
		t.typ = Changed
	case place == 1:
		t.typ = FlipFlop
	case place > 1:
		t.typ = Reused
	}
	en.agree = false
	t.spoke, en.cur.last = en.cur.last, e.now
	en.cur.frames++
	e.touch(en)

	var d dispute
	verdict := noVerdict
	if t.typ != TypeNone {
		x := en.extra()
		x.claimed, x.claim = e.now, t.typ
		d, verdict = e.judge(&t)
	}
	folded := e.folds(&t) // a flood that begins is recorded before what is part of it
	told := e.settle(&t, verdict, folded)
	settled := len(e.out) - 1 // its record is the last one
	if verdict == disputeBegins {
		if ep := e.accuse(s, en, d); ep != nil && told {
			e.out[settled].Episode = ep.id
		}
	}
	if en.bogon {
		e.strange(s, en)
	}
}

// settle moves the binding if the policy says so. It records what happened, and
// reports whether there was something to record.
func (e *Engine) settle(t *turn, v verdict, folded bool) (told bool) {
	en := t.en
	if en.holder == t.st { // a rival came and went, and was not believed
		en.agree = true
		return false
	}
	solicited := e.solicited(t.s, en)
	op, rule := arp.OpLearned, "nobody held it"
	if en.holder != nil {
		op, rule = e.decide(t.s, en, solicited)
	}
	typ, claims := t.typ, uint64(1)
	if op == arp.OpRefused {
		again := t.typ == TypeNone || e.within(t.spoke, int64(e.cfg.EpisodeGap))
		news := !again || v == disputeBegins
		if claims = en.extra().refuse(t.s.MAC, e.now, news); claims == 0 {
			return false // it was recorded when it began to claim
		}
		if !news {
			typ, folded = TypeNone, folded || e.insistent(en)
		}
	}
	folded = folded || e.noisy(t.s, t.st, Changed, en.key)
	alert := typ != TypeNone && v == noVerdict && !folded
	if alert && e.crowded(t) {
		alert, folded = false, true
	}
	r := e.event(t.s, typ, en.key)
	r.Op, r.Rule, r.Solicited, r.Folded, r.newcomer = op, rule, solicited, folded, t.fresh
	r.Count = claims
	e.interval(r, t)
	if c := en.contestOf(); c != nil && len(c.episodes) > 0 {
		r.Episode = c.episodes[0].id
	}
	if r.Alert = alert; alert {
		r.HoldUntil = e.hold(t.fresh, e.now)
	}
	if op == arp.OpRefused {
		return true
	}
	if t.typ == TypeNone && op == arp.OpMoved {
		r.Type = en.more.claim // it was told when it was refused
	}
	from := en.holder
	en.bind(t.st)
	if from != nil {
		e.leave(from)
	}
	e.watch(en)
	return true
}

// insistent counts a claim that is recorded again, and reports whether there are
// so many of them in the domain that they belong into a summary.
func (e *Engine) insistent(en *entry) bool {
	n := e.cfg.FloodCount
	_, many := e.domains[en.key.seg>>32].limits[TypeNone].add(e.now, n+1, int64(e.cfg.FloodWindow))
	return many && n > 0
}

// crowded counts a move that is to be told. From FloodCount moves in a domain
// within FloodWindow on, one line stands for the rest.
func (e *Engine) crowded(t *turn) bool {
	n := e.cfg.FloodCount
	_, many := e.domains[t.en.key.seg>>32].limits[Changed].add(e.now, n+1, int64(e.cfg.FloodWindow))
	if many {
		e.sum(episodeKey{typ: Changed, addr: t.en.key}, t.s, n)
	}
	return many
}

// interval says in r who held the address before, and from when to when.
func (e *Engine) interval(r *Record, t *turn) {
	old := &t.before
	if h := t.en.holder; h != nil {
		old = t.en.owner(h.mac())
	}
	if old.mac == r.MAC {
		return // it held the address before it expired
	}
	r.Old, r.Previous, r.OldFirst, r.OldFrames = old.mac, stamp(old.last), stamp(old.first), old.frames
}

// decide applies the policy to a claim of en, which another station holds. One
// who speaks for another's address has en.more.
func (e *Engine) decide(s *Sighting, en *entry, solicited bool) (arp.ChangeOp, string) {
	ok := false
	switch e.cfg.Policy {
	case Compat:
		ok = true
	case Verify:
		doubted := en.more.doubted // a holder that answers makes the claim begin anew
		ok = doubted >= en.more.claimed && e.now-doubted >= int64(e.cfg.VerifyTime)
	case Strict:
		ok = solicited && (s.Kind == KindReply || s.Kind == KindAdvertisement)
	}
	if ok {
		return arp.OpMoved, e.cfg.Policy.String()
	}
	return arp.OpRefused, e.cfg.Policy.String()
}

// folds reports whether a move belongs into a summary: it is part of a flood,
// because the MAC is a new one, or the address moves too often.
func (e *Engine) folds(t *turn) bool {
	flood := t.fresh && e.newcomer(t.s, t.en.key)
	if t.typ == TypeNone {
		return flood
	}
	x := t.en.more
	if sec := e.now / int64(time.Second); x.second != sec {
		x.second, x.moves = sec, 0
	}
	x.moves++
	return flood || e.cfg.FlipRate > 0 && x.moves > e.cfg.FlipRate
}

// hold returns until when a later record may explain this one: a flood, if the
// station is a newcomer, or a dispute over the address, which was claimed at
// claimed; 0 stands for never.
func (e *Engine) hold(newcomer bool, claimed int64) time.Time {
	until := int64(0)
	if newcomer && e.cfg.FloodCount > 0 && e.cfg.FloodWindow > 0 {
		until = e.now + int64(e.cfg.FloodWindow)
	}
	if e.within(claimed, int64(e.cfg.DupWindow)) {
		until = max(until, claimed+int64(e.cfg.DupWindow))
	}
	return stamp(until)
}

// watch sets the timer of an entry that expires.
func (e *Engine) watch(en *entry) {
	if e.cfg.Expire > 0 && !en.timed {
		en.timed = true
		e.at(en.cur.last+int64(e.cfg.Expire), nil, en)
	}
}

// expireEntry ends the binding of an address that was silent for too long.
func (e *Engine) expireEntry(en *entry) {
	en.timed = false
	if !en.alive || en.holder == nil {
		return
	}
	o := en.owner(en.holder.mac())
	if due := o.last + int64(e.cfg.Expire); due >= e.now {
		en.timed = true
		e.at(due, nil, en)
		return
	}
	from := en.holder
	e.out = append(e.out, Record{})
	r := &e.out[len(e.out)-1]
	r.Time, r.First, r.Last, r.Count = e.last, stamp(o.first), stamp(o.last), o.frames
	r.Key, r.Op, r.Rule = e.key(en.key), arp.OpExpired, "silence"
	r.MAC, r.Old, r.Previous, r.OldFirst, r.OldFrames = o.mac, o.mac, stamp(o.last), stamp(o.first), o.frames
	en.bind(nil)
	e.leave(from)
	e.touch(en)
}

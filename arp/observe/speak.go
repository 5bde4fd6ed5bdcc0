package observe

import (
	"time"

	"arpeggio/arp"
)

// speak is a claim by a MAC that does not hold the address, or that does and was
// not the last to speak: arpwatch's algorithm, the question who is right, and
// the policy.
func (e *Engine) speak(s *Sighting, en *entry) {
	before := en.cur
	st, fresh := e.station(en.key.seg, s.MAC)
	defer e.leave(st)
	place := en.speaker(s.MAC, e.now, e.cfg.MaxMACs)
	en.agree = false
	own := &en.cur
	lastSpoke := own.last // 0 when it never did
	own.last = e.now
	own.frames++
	e.touch(en)

	typ := TypeNone
	switch {
	case place < 0:
		typ = Changed
	case place == 1:
		typ = FlipFlop
	case place > 1:
		typ = Reused
	}
	d, verdict := dispute{}, noVerdict
	if typ != TypeNone {
		x := en.extra()
		x.claimed, x.claim = e.now, typ
		if !sharesLoad(before.mac, s.MAC) {
			d, verdict = e.judge(s, en, st, &before, lastSpoke)
		}
	}
	folded := e.folds(s, en, fresh)
	settled := len(e.out)
	e.settle(s, en, st, &before, lastSpoke, typ, folded, verdict)
	if fresh && len(e.out) > settled {
		e.out[settled].newcomer = true
	}
	if verdict == disputeBegins {
		told := len(e.out)
		if ep := e.accuse(s, en, d); ep != nil && told > settled {
			e.out[settled].Episode = ep.id
		}
	}
	if en.bogon {
		e.strange(s, en)
	}
}

// settle moves the binding if the policy says so, and records what happened.
func (e *Engine) settle(s *Sighting, en *entry, st *station, before *owner, lastSpoke int64, typ Type, folded bool, v verdict) {
	if en.holder == st { // a rival came and went, and was not believed
		en.agree = true
		return
	}
	solicited := e.solicited(s, en)
	op, rule := arp.OpLearned, "nobody held it"
	if en.holder != nil {
		op, rule = e.decide(s, en, solicited)
	}
	if op == arp.OpRefused {
		told := typ == TypeNone || e.within(lastSpoke, int64(e.cfg.EpisodeGap))
		if told && v != disputeBegins {
			return // it was recorded when it began to claim
		}
	}
	r := e.event(s, typ, en.key)
	r.Op, r.Rule, r.Solicited, r.Folded = op, rule, solicited, folded
	old := before
	if h := en.holder; h != nil {
		r.Old = h.mac()
		if o := en.owner(r.Old); o != nil {
			old = o
		}
	} else {
		r.Old = before.mac
		if r.Old == r.MAC {
			r.Old = [6]byte{}
		}
	}
	if !r.Old.IsZero() {
		r.Previous, r.OldFirst, r.OldFrames = stamp(old.last), stamp(old.first), old.frames
	}
	if c := en.contestOf(); c != nil && len(c.episodes) > 0 {
		r.Episode = c.episodes[0].id
	}
	r.Alert = typ != TypeNone && v == noVerdict && !folded && !sharesLoad(before.mac, s.MAC)
	if r.Alert {
		r.HoldUntil = e.hold(before.last)
	}
	if op == arp.OpMoved && typ == TypeNone {
		r.Type = en.more.claim // it was told when it was refused
	}
	if op == arp.OpRefused {
		return
	}
	from := en.holder
	en.bind(st)
	if from != nil {
		e.leave(from)
	}
	e.watch(en)
}

// hold returns until when a later record may explain a claim: a flood, or the
// frame of the holder that makes it a dispute. The holder spoke last at last; 0
// stands for none.
func (e *Engine) hold(last int64) time.Time {
	until := int64(0)
	if e.cfg.FloodCount > 0 && e.cfg.FloodWindow > 0 {
		until = e.now + int64(e.cfg.FloodWindow)
	}
	if e.within(last, int64(e.cfg.DupWindow)) {
		until = max(until, last+int64(e.cfg.DupWindow))
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
func (e *Engine) folds(s *Sighting, en *entry, fresh bool) bool {
	flood := fresh && e.newcomer(s, en.key)
	x := en.extra()
	if sec := e.now / int64(time.Second); x.second != sec {
		x.second, x.moves = sec, 0
	}
	x.moves++
	return flood || e.cfg.FlipRate > 0 && x.moves > e.cfg.FlipRate
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

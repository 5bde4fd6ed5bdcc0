package arp

import (
	"time"

	"arpeggio/stack/ethernet"
)

// Input takes an ARP frame that arrived on the interface: its header and its
// payload, padding included. Neither is kept.
func (e *Engine) Input(now time.Time, h ethernet.Header, payload []byte) {
	p, err := Parse(payload)
	kind := p.Kind()
	if r := e.insane(&h, &p, kind, err); r != 0 {
		e.stats.Dropped[r]++
		return
	}
	e.stats.Received[kind]++
	if h.Src != p.SenderMAC {
		e.stats.Mismatched++
	}
	if e.conflict(now, &h, payload, &p, kind) {
		return
	}
	// RFC 826 "Packet Reception": first the merge, then the operation.
	if kind != KindProbe {
		e.learn(now, &h, payload, &p, kind)
	}
	if p.Op == OpRequest {
		e.answer(&p)
	}
}

// insane returns why a packet cannot be believed by anybody, or 0.
func (e *Engine) insane(h *ethernet.Header, p *Packet, kind Kind, err error) DropReason {
	switch {
	case err == ErrShort:
		return DropShort
	case err != nil:
		return DropUnusable
	case kind == KindReverse || h.Type == ethernet.TypeRARP:
		return DropReverse
	case kind == KindInverse:
		return DropInverse
	case kind == KindUnknown:
		return DropOperation
	case p.SenderMAC.IsZero():
		return DropSenderNull
	case p.SenderMAC.IsBroadcast():
		return DropSenderBroadcast // RFC 1812 §3.3.2
	case p.SenderMAC.IsMulticast():
		return DropSenderMulticast
	case p.SenderMAC == e.mac:
		return DropEcho
	case h.Dst != e.mac && !h.Dst.IsMulticast():
		return DropNotForUs
	case e.cfg.RejectMismatch && h.Src != p.SenderMAC:
		return DropMismatch
	case p.SenderIP.IsUnspecified() && kind != KindProbe:
		return DropSenderIP
	case p.SenderIP.IsMulticast() || p.SenderIP.IsLoopback() || e.broadcastIP(p.SenderIP):
		return DropSenderIP
	case kind == KindReply && h.Dst == e.mac && p.TargetMAC != e.mac && e.owned(p.TargetIP) == nil:
		return DropForeignTarget
	}
	return 0
}

// learn is the decision about a claim: SenderIP is at SenderMAC.
func (e *Engine) learn(now time.Time, h *ethernet.Header, payload []byte, p *Packet, kind Kind) {
	n := e.entries[p.SenderIP]
	answer := p.Op == OpReply && (p.TargetMAC == e.mac || e.owned(p.TargetIP) != nil)
	solicited := answer && n != nil && n.outstanding
	switch {
	case n != nil && n.state == StatePermanent:
		if n.mac != p.SenderMAC {
			e.refuse(n, p.SenderMAC, e.proof(h, payload, kind, false), "static", now)
		} else {
			n.heard, n.seen = now, now
		}
	case n != nil && n.bound() && n.mac == p.SenderMAC:
		e.refresh(n, now, solicited)
	case n != nil && n.bound():
		e.contest(n, p.SenderMAC, e.proof(h, payload, kind, solicited), solicited, now)
	case solicited:
		e.bind(n, p.SenderMAC, e.proof(h, payload, kind, true), "solicited", now)
	case n != nil && n.state == StateFailed && answer:
		e.bind(n, p.SenderMAC, e.proof(h, payload, kind, false), "answer after the last request", now)
	default:
		e.welcome(n, now, h, payload, p, kind)
	}
}

// proof is evidence with the engine's judgement of it.
func (e *Engine) proof(h *ethernet.Header, payload []byte, kind Kind, solicited bool) *Evidence {
	ev := evidence(h, payload, kind)
	ev.Solicited = solicited
	return &ev
}

// welcome decides whether an unasked packet may bind an address that nobody
// holds; n is nil or an address that is being asked for, or has failed.
func (e *Engine) welcome(n *entry, now time.Time, h *ethernet.Header, payload []byte, p *Packet, kind Kind) {
	rule := "sender asked for us"
	switch {
	case e.cfg.Learn == LearnAlways:
		rule = "always"
	case e.cfg.Learn != LearnRequested || kind != KindRequest || e.owned(p.TargetIP) == nil:
		e.stats.Dropped[DropPolicy]++
		return
	}
	if n == nil && !e.cfg.AllowOffLink && e.offLink(p.SenderIP) {
		e.stats.Dropped[DropOffLink]++
		return
	}
	if n == nil {
		if !e.room(now, false) {
			e.stats.Dropped[DropFull]++
			return
		}
		n = e.add(p.SenderIP)
	}
	e.bind(n, p.SenderMAC, e.proof(h, payload, kind, false), rule, now)
}

// bind gives the address of n, which nobody held, to mac.
func (e *Engine) bind(n *entry, mac ethernet.Addr, ev *Evidence, rule string, now time.Time) {
	waited, asked := n.state == StateIncomplete, n.work.Time
	e.stats.Learned++
	e.take(n, mac, ev.Solicited, now)
	n.seen = now
	e.change(ActPut, Change{Op: OpLearned, Key: e.key(n.addr), MAC: mac, Rule: rule,
		Evidence: *ev, Deadline: e.expiresAt(n), Work: n.work.ID}, now)
	if waited {
		e.stats.Answered++
		e.stats.Waited.Add(now.Sub(asked))
		e.finish(n, OutcomeAnswered)
		e.out = append(e.out, Action{Kind: ActResolved, Addr: n.addr, MAC: mac})
	}
}

// take writes mac into n: reachable when it answered us, else stale (RFC 4861
// §7.2.3), and about to be probed if packets were waiting for it.
func (e *Engine) take(n *entry, mac ethernet.Addr, solicited bool, now time.Time) {
	waited := n.state == StateIncomplete
	if n.claim != nil && n.claim.mac != mac {
		e.dismiss(n)
	}
	n.mac, n.updated, n.heard, n.claim = mac, now, now, nil
	n.confirmed, n.reachUntil, n.seen = time.Time{}, time.Time{}, time.Time{}
	n.outstanding, n.expiring, n.tries = false, false, 0
	switch {
	case solicited:
		f := 0.5 + e.cfg.Rand.Float64()
		n.state, n.confirmed = StateReachable, now
		n.reachUntil = now.Add(time.Duration(f * float64(e.cfg.ReachableTime)))
	case waited:
		n.state, n.next = StateDelay, now.Add(e.cfg.DelayTime)
	default:
		n.state = StateStale
	}
	e.classify(n)
	e.reschedule(n)
}

// refresh is the owner of a binding saying again that it holds the address.
func (e *Engine) refresh(n *entry, now time.Time, solicited bool) {
	e.stats.Refreshed++
	if solicited {
		e.reachable(n, now)
		return
	}
	if e.cfg.Learn == LearnNever {
		return
	}
	n.heard, n.seen = now, now
	if n.claim != nil {
		e.refuse(n, n.claim.mac, &n.claim.ev, "verify: the owner is still there", now)
		n.claim = nil
	}
	if n.state == StateProbe && n.expiring {
		n.state, n.expiring, n.outstanding = StateStale, false, false
		e.finish(n, OutcomeAnswered)
	}
	e.reschedule(n)
}

// contest is somebody else claiming the address of a live binding.
func (e *Engine) contest(n *entry, mac ethernet.Addr, ev *Evidence, solicited bool, now time.Time) {
	e.gather(n, now) // what was confirmed before the claim says nothing about it
	switch {
	case !solicited && e.cfg.Learn == LearnNever:
		e.stats.Dropped[DropPolicy]++
	case e.cfg.Move == MoveFirst:
		e.refuse(n, mac, ev, "first", now)
	case e.cfg.Move == MoveCompat:
		e.move(n, mac, ev, "compat", now)
	case solicited && n.broadcast:
		e.move(n, mac, ev, "solicited", now)
	case e.cfg.Move == MoveStrict:
		e.refuse(n, mac, ev, "strict", now)
	case n.claim == nil:
		n.claim = &claim{mac: mac, ev: *ev, at: now, next: now}
		if n.state == StateProbe || n.state == StateDelay { // the verification does their work
			e.finish(n, OutcomeDropped)
			n.state, n.expiring, n.tries = StateStale, false, 0
		}
		e.verify(n, now)
		e.reschedule(n)
	case n.claim.mac != mac:
		e.refuse(n, mac, ev, "verify: another claim is being verified", now)
	}
}

// verify asks the old owner whether it is still there (as soon as the rate
// allows), and believes the claim when it stays silent for VerifyTime.
func (e *Engine) verify(n *entry, now time.Time) {
	c := n.claim
	if c.asked {
		e.move(n, c.mac, &c.ev, "verify: the old owner is silent", now)
		n.seen = c.at
		return
	}
	if t := e.mayAsk(n, now); now.Before(t) {
		c.next = t
		return
	}
	e.stats.Verified++
	e.ask(n, now, n.mac)
	c.asked, c.next = true, now.Add(e.cfg.VerifyTime)
}

// move gives the address of n to mac.
func (e *Engine) move(n *entry, mac ethernet.Addr, ev *Evidence, rule string, now time.Time) {
	old, seen, used := n.mac, n.seen, n.state == StateDelay || n.state == StateProbe && !n.expiring
	e.stats.Moved++
	e.take(n, mac, ev.Solicited, now)
	n.seen = now
	e.change(ActPut, Change{Op: OpMoved, Key: e.key(n.addr), MAC: mac, Old: old, Rule: rule,
		Evidence: *ev, LastSeen: seen, Deadline: e.expiresAt(n), Work: n.work.ID}, now)
	e.finish(n, OutcomeAnswered)
	if used && n.state == StateStale {
		n.state, n.next = StateDelay, now.Add(e.cfg.DelayTime)
		e.reschedule(n)
	}
}

// dismiss records the claim on n, if any, that can no longer be verified.
func (e *Engine) dismiss(n *entry) {
	if c := n.claim; c != nil {
		e.refuse(n, c.mac, &c.ev, "verify: not decided", c.at)
		n.claim = nil
	}
}

// refuse records a claim that was not believed.
func (e *Engine) refuse(n *entry, mac ethernet.Addr, ev *Evidence, rule string, now time.Time) {
	e.stats.Refused++
	e.change(ActRecord, Change{Op: OpRefused, Key: e.key(n.addr), MAC: mac, Old: n.mac, Rule: rule, Evidence: *ev}, now)
}

package tcp_test

import (
	"os"
	"strconv"
	"testing"
	"time"

	"arpeggio/stack/tcp"
)

// pairUser is what sits on an end: a list of calls at random times.
type pairUser struct {
	e       *pairEnd
	listens bool
	wild    bool // may break the connection, and the conversation
	slow    bool // reads only when it comes to it
	last    bool // its calls are over
	closed  bool
	deaf    bool // does not read any more
	hurry   bool // has a user timeout that brings window probes closer together
}

// reads is the part of the user that reads as text comes.
func (u *pairUser) reads() {
	if !u.slow && !u.deaf {
		u.e.read(1 << 30)
	}
}

// plan spreads n calls over about d.
func (u *pairUser) plan(n int, d time.Duration) {
	p := u.e.p
	at := p.now
	for range n {
		at = at.Add(p.upTo(8 * d / time.Duration(n)))
		p.push(pairEvent{at: at, to: u.e.i, act: u.call})
	}
	p.push(pairEvent{at: at.Add(p.upTo(d)), to: u.e.i, act: u.finish})
}

// finish ends what the user has to say, and hears the other side out.
func (u *pairUser) finish() {
	c := u.e.conn
	switch {
	case c == nil && u.wild:
		u.e.over = true // it listens no more
		return
	case c == nil:
		u.e.p.push(pairEvent{at: u.e.p.now.Add(time.Second), to: u.e.i, act: u.finish})
		return
	}
	u.last, u.slow = true, false
	u.e.p.note("%d finishes", u.e.i)
	c.SetCork(false)
	u.e.buffer(max(5000, u.e.cfg.RcvBuf)) // a window of a few octets would take hours
	if u.wild {
		u.closed = true
		c.Close(u.e.clock())
		return
	}
	c.CloseWrite(u.e.clock())
}

// call is one call.
func (u *pairUser) call() {
	e := u.e
	p, c := e.p, e.conn
	if c == nil || c.Done() || u.last {
		return
	}
	const kinds = 20
	k := p.rng.IntN(kinds)
	p.note("%v %d calls %d", time.Duration(e.clock()), e.i, k)
	switch k {
	case 0, 1, 2, 3, 4:
		u.write(p.rng.IntN(1 << (1 + p.rng.IntN(17))))
	case 5:
		b := u.octets(p.rng.IntN(100_000))
		if n, err := c.WriteRef(b, func() { e.refs-- }); err == nil && n > 0 {
			e.refs++
			e.want = append(e.want, b[:n]...)
		}
	case 6:
		b := u.octets(1 + p.rng.IntN(3000))
		n, _ := c.WriteUrgent(b)
		e.want = append(e.want, b[:n]...)
	case 7, 8, 9:
		u.slow = true
		e.read(p.rng.IntN(20_000))
	case 10:
		u.slow = false
	case 11:
		c.SetNoDelay(p.chance(2))
		c.SetQuickAck(p.chance(2))
		if p.chance(2) {
			c.SetMaxPacingRate(uint64(p.rng.IntN(2) * (50_000 + p.rng.IntN(1_000_000))))
		}
	case 12:
		c.SetCork(p.chance(3))
	case 13:
		e.buffer(1000 + p.rng.IntN(200_000))
		c.SetSendBuffer(1000 + p.rng.IntN(200_000))
	case 14:
		c.SetPathMSS(e.clock(), 48+p.rng.IntN(1440))
		e.check.Hint()
	case 15:
		if !u.wild && !e.pairIdle() {
			c.SetKeepAlive(e.clock(), tcp.KeepAlive{Idle: time.Second + p.upTo(time.Minute), Interval: time.Second, Probes: 200})
		}
	case 16:
		most := 20 * time.Second
		if u.wild {
			most = 20 * 24 * time.Hour / 40
		}
		e.jump(p.upTo(most))
	case 17:
		if p.chance(4) {
			c.CloseWrite(e.clock())
		}
	case 18:
		if _, err := c.ReadUrgent(false); err == nil {
			p.fatal("an urgent octet apart, which was not asked for")
		}
		_, _, _ = c.UrgentNews(), c.AtMark(), c.Info()
	case 19:
		if u.wild {
			u.harm()
		}
	}
}

// pairIdle: keep-alive probes look like window probes.
func (e *pairEnd) pairIdle() bool { return e.conn.Info().SndWnd == 0 }

// harm is a call that may end the connection.
func (u *pairUser) harm() {
	e := u.e
	p, c := e.p, e.conn
	switch p.rng.IntN(6) {
	case 0:
		c.Abort(e.clock())
		u.closed = true
	case 1:
		c.Close(e.clock())
		u.closed = true
	case 2: // linger: close, and abort when it takes too long
		c.Close(e.clock())
		u.closed = true
		p.push(pairEvent{at: p.now.Add(p.upTo(5 * time.Second)), to: e.i, act: func() {
			if !c.Done() {
				c.Abort(e.clock())
			}
		}})
	case 3:
		c.CloseRead()
		u.deaf = true
	case 4:
		d := time.Millisecond + p.upTo(5*time.Minute)
		u.hurry = u.hurry || d < 2*tcp.DefaultMaxRTO
		c.SetUserTimeout(e.clock(), d)
	case 5:
		c.HardError(tcp.ErrRefused)
		e.check.Hint()
	}
}

func (u *pairUser) octets(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(u.e.p.rng.Uint32())
	}
	return b
}

func (u *pairUser) write(n int) {
	b := u.octets(n)
	n, _ = u.e.conn.Write(b)
	u.e.want = append(u.e.want, b[:n]...)
}

// pairSeeds runs f for some seeds, for many with SOAK, or for the one in SEED.
func pairSeeds(t *testing.T, few, many uint64, f func(t *testing.T, seed uint64)) {
	t.Helper()
	if v := os.Getenv("SEED"); v != "" {
		seed, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		f(t, seed)
		return
	}
	n := few
	if os.Getenv("SOAK") != "" {
		n = many
	}
	for seed := range n {
		f(t, seed)
	}
	t.Logf("%d seeds", n)
}

// open begins the connection, from one side or from both.
func (p *pair) open(both bool) {
	for i, e := range p.ends {
		e.user.listens = i == 1
		if i == 0 || both {
			e.conn = tcp.NewActive(e.cfg, e.clock())
			e.serve()
		}
	}
}

// Two machines that talk to each other over a bad wire, with users who do what
// they like but hear each other out: all that was written arrives, both reach
// CLOSED, all memory comes back, and the specification allows each segment.
func TestPairs(t *testing.T) {
	pairSeeds(t, 60, 20_000, func(t *testing.T, seed uint64) {
		p := newPair(t, seed)
		for _, e := range p.ends {
			e.wire.loss, e.wire.dup, e.wire.damage = p.rng.Float64()*0.2, p.rng.Float64()*0.1, p.rng.Float64()*0.05
			if p.chance(3) {
				e.wire.loss, e.wire.dup, e.wire.damage = 0, 0, 0
			}
		}
		p.open(p.chance(8))
		for _, e := range p.ends {
			e.user.plan(1+p.rng.IntN(60), p.upTo(20*time.Second))
		}
		p.run(40 * time.Hour)
		for i, e := range p.ends {
			if other := p.ends[1-i]; string(e.got) != string(other.want) {
				p.fatal("end %d read %d octets, %d were written", i, len(e.got), len(other.want))
			}
			if err := e.conn.Err(); err != nil {
				p.fatal("end %d: %v", i, err)
			}
		}
	})
}

// The same with users who abort, go deaf and give up, a wire that goes dark, and
// an outsider who guesses: what arrives is the beginning of what was written,
// and no connection lives for ever.
func TestPairsWild(t *testing.T) {
	pairSeeds(t, 90, 30_000, func(t *testing.T, seed uint64) {
		p := newPair(t, seed)
		for _, e := range p.ends {
			e.user.wild = true
			e.cfg.UserTimeout, e.cfg.ConnectTimeout = 0, 0
			w := &e.wire
			w.loss, w.dup, w.damage, w.hide = p.rng.Float64()*0.4, p.rng.Float64()*0.2, p.rng.Float64()*0.1, p.rng.Float64()*0.2
			if p.chance(3) {
				w.darkFrom = p.now.Add(p.upTo(10 * time.Second))
				w.darkTo = w.darkFrom.Add(p.upTo(20 * time.Minute))
			}
		}
		p.open(p.chance(8))
		for _, e := range p.ends {
			e.user.plan(1+p.rng.IntN(40), p.upTo(30*time.Second))
		}
		p.run(40 * time.Hour)
		for i, e := range p.ends {
			other := p.ends[1-i]
			if n := len(e.got); n > len(other.want) || string(e.got) != string(other.want[:n]) {
				p.fatal("end %d read %d octets that are not the first of the %d written", i, n, len(other.want))
			}
		}
	})
}

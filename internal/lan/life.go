package lan

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// action is one thing that a station does to the network.
type action uint8

const (
	join       action = iota // plug the card in, announce the address, call on the appliance
	visit                    // fetch a page from the appliance
	ping                     // send the appliance an echo request
	ask                      // resolve another station and ping it
	announce                 // say one's own address aloud again
	changeCard               // come back behind another network card with the same address
	collide                  // claim another station's address for a while
	yield                    // give the claimed address up
	fallSilent               // unplug without a word
)

// String names the action as the log shows it.
func (a action) String() string {
	return [...]string{"joins", "visits", "pings", "asks", "announces", "changes its card",
		"claims a foreign address", "gives the address up", "falls silent"}[a]
}

// step is an action and the time, from the start of the LAN, at which it falls
// due.
type step struct {
	at   time.Duration
	what action
	whom int // for ask and collide: the index of another station
}

// temper says what a station does besides the everyday: how often, on average,
// each of the rarer actions comes, and when the first one does. Zero is never.
type temper struct {
	card, collision, silence                time.Duration // mean interval
	firstCard, firstCollision, firstSilence time.Duration
	cards                                   int // it changes between so many; 0: each card is a new one
}

// tempers deals out characters, so that a visitor who stays for two minutes
// meets a wanderer (a laptop that keeps changing between its dock and its
// wireless card, with one address), a power strip that takes four stations
// with it, a station that falls silent alone, and one that claims a foreign
// address; later everyone may do anything.
func tempers(rng *rand.Rand, n int) []temper {
	out := make([]temper, n)
	for i := range out {
		out[i] = temper{card: 20 * time.Minute, collision: 40 * time.Minute, silence: 15 * time.Minute}
	}
	if n < 8 {
		return out
	}
	order := rng.Perm(n)
	out[order[0]].firstCard, out[order[0]].card, out[order[0]].cards = seconds(rng, 22, 32), 8*time.Second, 2
	out[order[1]].firstCollision = seconds(rng, 45, 60)
	out[order[2]].firstSilence = seconds(rng, 30, 38)
	strip := seconds(rng, 20, 28)
	for _, i := range order[3:7] {
		out[i].firstSilence = strip
	}
	return out
}

func seconds(rng *rand.Rand, lo, hi float64) time.Duration {
	return time.Duration((lo + rng.Float64()*(hi-lo)) * float64(time.Second))
}

// life produces the steps of one station, in order of time, without end. It
// is a pure function of its seed: two runs with one seed live the same life,
// whatever the network answers.
type life struct {
	rng    *rand.Rand
	self   int
	of     int // number of stations
	temper temper
	now    time.Duration // time of the step returned last
	plans  [4]plan       // everyday, card, collision, silence
	queue  []step        // steps that follow from the last one
}

// plan is when an independent strand of the life comes next; zero is never.
type plan struct{ next, mean time.Duration }

const (
	everyday = iota
	strandCard
	strandCollision
	strandSilence
)

func newLife(seed uint64, self, of int, t temper) *life {
	if of < 2 {
		t.collision = 0 // with nobody to collide with
	}
	l := &life{rng: rand.New(rand.NewPCG(seed, uint64(self)+1)), self: self, of: of, temper: t}
	joinAt := seconds(l.rng, 0.5, 12)
	l.queue = []step{{at: joinAt, what: join}}
	l.plans[everyday] = plan{next: joinAt + seconds(l.rng, 2, 6), mean: 9 * time.Second}
	for i, p := range [...]struct{ first, mean time.Duration }{
		strandCard:      {t.firstCard, t.card},
		strandCollision: {t.firstCollision, t.collision},
		strandSilence:   {t.firstSilence, t.silence},
	} {
		if i == everyday || p.mean == 0 {
			continue
		}
		next := p.first
		if next == 0 {
			next = joinAt + time.Minute + l.wait(p.mean)
		}
		l.plans[i] = plan{next: next, mean: p.mean}
	}
	return l
}

// wait draws from an exponential distribution, cut at four times its mean.
func (l *life) wait(mean time.Duration) time.Duration {
	return time.Duration(min(l.rng.ExpFloat64(), 4) * float64(mean))
}

// other draws another station; there must be one.
func (l *life) other() int {
	o := l.rng.IntN(l.of - 1)
	if o >= l.self {
		o++
	}
	return o
}

// next returns the next step of the life.
func (l *life) next() step {
	strand := -1
	for i, p := range l.plans {
		if p.mean != 0 && (strand < 0 || p.next < l.plans[strand].next) {
			strand = i
		}
	}
	if len(l.queue) > 0 && l.queue[0].at <= l.plans[strand].next {
		s := l.queue[0]
		l.queue = l.queue[1:]
		l.now = s.at
		return s
	}
	at := max(l.plans[strand].next, l.now)
	l.now = at
	l.plans[strand].next = at + l.wait(l.plans[strand].mean) + time.Second
	s := step{at: at}
	switch strand {
	case strandCard:
		s.what = changeCard
	case strandCollision:
		s.what, s.whom = collide, l.other()
		l.queue = append(l.queue, step{at: at + seconds(l.rng, 8, 15), what: yield, whom: s.whom})
		slices.SortStableFunc(l.queue, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	case strandSilence:
		s.what = fallSilent
		back := at + seconds(l.rng, 85, 150)
		l.queue = append(l.queue[:0], step{at: back, what: join}) // who is away does nothing else
		for i := range l.plans {
			if l.plans[i].next <= back && l.plans[i].mean != 0 {
				l.plans[i].next = back + l.wait(l.plans[i].mean) + time.Second
			}
		}
	default:
		switch p := l.rng.Float64(); {
		case p < 0.40:
			s.what = visit
		case p < 0.65, p < 0.90 && l.of < 2:
			s.what = ping
		case p < 0.90:
			s.what, s.whom = ask, l.other()
		default:
			s.what = announce
		}
	}
	return s
}

package vnet

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Impairment says how badly one direction of a cable behaves. The zero value is
// a perfect cable. Probabilities are from 0 to 1 and are drawn per frame.
//
// An impaired direction works on packets as a wire would see them: super-frames
// are cut and checksums completed before it.
type Impairment struct {
	// Loss is the probability that a frame vanishes.
	Loss float64
	// SmallLoss is the probability that a frame of at most SmallFrame octets
	// (acknowledgments, ARP) vanishes; larger frames are spared.
	SmallLoss float64
	// Duplicate is the probability that a frame arrives twice.
	Duplicate float64
	// Corrupt is the probability that one bit behind the Ethernet addresses is
	// inverted.
	Corrupt float64
	// Reorder is the probability that a frame is held back by ReorderDelay
	// (default 5 ms), so that later frames overtake it.
	Reorder      float64
	ReorderDelay time.Duration
	// Delay is added to each frame, and Jitter as a random time from 0 to
	// Jitter. Jitter alone never changes the order of frames.
	Delay, Jitter time.Duration
	// Rate limits the direction to that many bits a second (0: no limit).
	// Frames that would wait behind more than RateQueue octets (default
	// 64 KiB) are dropped.
	Rate      int64
	RateQueue int
	// MTU drops each frame whose network-layer packet is larger, silently, as
	// a black hole does (0: no limit).
	MTU int
	// Trailing appends 0 to Trailing random octets (at most 255) behind the
	// frame, as some cards do with their padding.
	Trailing int
	// After OutageAfter octets (0: never) the direction is dead for OutageFor
	// (default 1 s), once for each time that the impairment is set.
	OutageAfter int64
	OutageFor   time.Duration
}

// Defaults of Impairment, and the size up to which SmallLoss bites.
const (
	SmallFrame          = 100 // octets
	DefaultReorderDelay = 5 * time.Millisecond
	DefaultRateQueue    = 64 << 10 // octets
	DefaultOutageFor    = time.Second
)

// check reports the first value that is out of range.
func (im *Impairment) check() error {
	for _, p := range []struct {
		name string
		v    float64
	}{{"Loss", im.Loss}, {"SmallLoss", im.SmallLoss}, {"Duplicate", im.Duplicate}, {"Corrupt", im.Corrupt}, {"Reorder", im.Reorder}} {
		if !(p.v >= 0 && p.v <= 1) { // also refuses NaN
			return fmt.Errorf("vnet: impairment %s is %v, want a probability from 0 to 1", p.name, p.v)
		}
	}
	if im.Delay < 0 || im.Jitter < 0 || im.ReorderDelay < 0 || im.OutageFor < 0 || im.Rate < 0 ||
		im.RateQueue < 0 || im.MTU < 0 || im.OutageAfter < 0 {
		return fmt.Errorf("vnet: impairment with a negative value: %+v", *im)
	}
	if im.Trailing < 0 || im.Trailing > 255 {
		return fmt.Errorf("vnet: impairment Trailing is %d, want 0 to 255", im.Trailing)
	}
	return nil
}

// cable is the state of one direction: what an Impairment needs to remember.
// It holds no clock.
type cable struct {
	Impairment
	carried int64     // octets since the impairment was set
	outage  time.Time // end of the outage that has begun
	busy    time.Time // when the rate limiter has sent what it holds
	last    time.Time // arrival of the last frame that was not reordered
}

// fate is what happens to one frame.
type fate struct {
	drop      Reason // why it vanishes; none when it does not
	at        time.Time
	twice     bool
	reordered bool
	flip      int // bit to invert, counted from the start of the frame; 0 is none
	tail      int // random octets to append
}

// perfect reports whether the direction passes frames untouched and at once,
// so that super-frames need not be cut for it.
func (c *cable) perfect(now time.Time) bool {
	return c.Impairment == Impairment{} && !c.last.After(now)
}

// decide returns the fate of a frame of size octets, of which header precede
// the network-layer packet, that enters the cable at now.
func (c *cable) decide(now time.Time, size, header int, r *rand.Rand) fate {
	f := fate{at: now}
	if c.perfect(now) {
		return f
	}
	c.carried += int64(size)
	switch {
	case c.inOutage(now):
		f.drop = DropOutage
	case c.MTU > 0 && size > c.MTU+header:
		f.drop = DropTooBig
	case hit(c.Loss, r), size <= SmallFrame && hit(c.SmallLoss, r):
		f.drop = DropLoss
	case !c.shape(&f, now, size):
		f.drop = DropRate
	}
	if f.drop != none {
		return f
	}
	f.at = f.at.Add(c.Delay)
	if c.Jitter > 0 {
		f.at = f.at.Add(time.Duration(r.Int64N(int64(c.Jitter) + 1)))
	}
	if f.at.Before(c.last) {
		f.at = c.last
	}
	if f.reordered = hit(c.Reorder, r); f.reordered {
		f.at = f.at.Add(orDefault(c.ReorderDelay, DefaultReorderDelay))
	} else {
		c.last = f.at
	}
	f.twice = hit(c.Duplicate, r)
	const addresses = 12 * 8
	if bits := size * 8; hit(c.Corrupt, r) && bits > addresses {
		f.flip = addresses + r.IntN(bits-addresses)
	}
	if c.Trailing > 0 {
		f.tail = r.IntN(c.Trailing + 1)
	}
	return f
}

// inOutage reports whether the direction is dead, and begins the outage when
// its octets have been carried.
func (c *cable) inOutage(now time.Time) bool {
	if c.OutageAfter > 0 && c.outage.IsZero() && c.carried > c.OutageAfter {
		c.outage = now.Add(orDefault(c.OutageFor, DefaultOutageFor))
	}
	return now.Before(c.outage)
}

// shape moves f.at to when the rate limiter has sent the frame; false means
// that its queue is full.
func (c *cable) shape(f *fate, now time.Time, size int) bool {
	if c.Rate == 0 {
		return true
	}
	if c.busy.Before(now) {
		c.busy = now
	}
	perOctet := float64(8*time.Second) / float64(c.Rate)
	if waiting := float64(c.busy.Sub(now)) / perOctet; waiting > float64(orDefault(c.RateQueue, DefaultRateQueue)) {
		return false
	}
	c.busy = c.busy.Add(time.Duration(float64(size) * perOctet))
	f.at = c.busy
	return true
}

// copies returns how often the frame arrives.
func (f *fate) copies() int {
	if f.twice {
		return 2
	}
	return 1
}

// apply mangles frame, which may be reallocated, as f says.
func (f *fate) apply(frame []byte, r *rand.Rand) []byte {
	if f.flip > 0 {
		frame[f.flip/8] ^= 0x80 >> (f.flip % 8)
	}
	for range f.tail {
		frame = append(frame, byte(r.Uint32()))
	}
	return frame
}

func hit(p float64, r *rand.Rand) bool { return p > 0 && r.Float64() < p }

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

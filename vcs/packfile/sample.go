package packfile

import "arpeggio/vcs"

// sample is an object that others of its kind, with which it shares no history,
// are told as deltas of: the message of a commit repeats that of the one before,
// and a new file has the lines of another one. All deltas are made of the sample
// itself, so that nobody has to go through a chain.
type sample struct {
	content []byte
	place   *place
	used    int
}

const (
	// minSample is the length from which it is worth it.
	minSample = 64
	// maxSample bounds what is kept, and so what a delta is compared with.
	maxSample = 8 << 10
	// sampleUses is after how many deltas the next object is written in full and
	// becomes the sample: those made at one time are more alike.
	sampleUses = 256
)

// likes reports whether an object is to be compared with the sample.
func (p *writer) likes(s *sample, content []byte) bool {
	return s.place != nil && s.used < sampleUses && !p.opt.NoDeltas && !p.opt.RefDeltas &&
		len(content) >= minSample && len(content) <= maxSample
}

// suits reports whether a delta of the sample is worth it, and counts it.
func (s *sample) suits(delta, content []byte) bool {
	ok := len(delta) <= len(content)/4*3
	if ok {
		s.used++
	}
	return ok
}

// take makes an object the sample.
func (s *sample) take(content []byte, at *place) {
	if len(content) < minSample || len(content) > maxSample {
		return
	}
	s.content = append(s.content[:0], content...)
	s.place, s.used = at, 0
}

// minCommit is the length from which a commit is told as a delta: the ids and
// times of a short one leave little else.
const minCommit = 320

// writeCommit writes a commit.
func (p *writer) writeCommit(content []byte) error {
	typ, stored, back := byte(vcs.KindCommit), content, int64(0)
	if s := &p.commit; len(content) >= minCommit {
		if p.likes(s, content) {
			if t, delta := p.encode(vcs.KindCommit, content, s.content, true); s.suits(delta, content) {
				typ, stored, back = t, delta, p.off-s.place.off
			}
		}
		if typ == byte(vcs.KindCommit) {
			s.take(content, &place{off: p.off})
		}
	}
	packed, err := p.deflateCommit(typ, stored)
	if err != nil {
		return err
	}
	p.head(typ, len(stored), back)
	p.write(packed)
	return p.err
}

// denseLevel finds the short repetitions that the fastest level passes over: the
// address in a subject and in the trailers. It takes as long, for so little.
const denseLevel = 3

// deflateCommit deflates a commit or the delta of one.
func (p *writer) deflateCommit(typ byte, stored []byte) ([]byte, error) {
	if typ == byte(vcs.KindCommit) {
		return p.z.deflate(stored)
	}
	if p.dense == nil {
		var err error
		if p.dense, err = newDeflater(max(denseLevel, p.opt.Level)); err != nil {
			return nil, err
		}
	}
	return p.dense.deflate(stored)
}

package vcs

import (
	"context"
	"slices"
)

// States that are written for old times are so many commits apart: as many as twice
// the files, so that their room goes with that of the log, and what lies between two
// of them takes about as long to go through as a state takes to read.
const (
	minApart     = 1 << 10
	apartPerFile = 2
)

// OfferState lets states of old commits be made from one that WriteStates wrote,
// perhaps in another process. It is checked by its hashes when it is used; b must
// not be changed. The result is false for one that is of no use here: damaged, of
// another history, or of an epoch that has left.
func (s *Store) OfferState(b []byte) bool {
	if s.log == nil {
		return false
	}
	_, ok := s.log.offer(b)
	return ok
}

// WriteStates hands out states of commits before a head, along first parents and
// over epochs, each as far from the next one as is worth while, without those that
// were offered. To make them it goes through the history once. On a backend that
// keeps no operation log there are none.
func (s *Store) WriteStates(ctx context.Context, head ID, write func(state []byte) error) error {
	if s.log == nil {
		return nil
	}
	p := s.Pin()
	defer p.Release()
	type line struct {
		l    *oplog
		nums []uint32
	}
	var lines []line
	for more := true; more; {
		more = false
		for _, l := range p.logs() {
			nums, first, found, err := l.apart(head)
			if err != nil {
				return err
			}
			if !found {
				continue
			}
			lines = append(lines, line{l, nums})
			if parents, ok := s.epochs.graft(first); ok && len(parents) > 0 {
				head, more = parents[0], true
			}
			break
		}
	}
	// The oldest first, so that what lies before one that there is, is done.
	for _, x := range slices.Backward(lines) {
		for _, num := range x.nums {
			b, err := x.l.encodeState(num)
			if err == nil {
				err = ctx.Err()
			}
			if err == nil {
				err = write(b)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// apart returns which commits before a head are to have a state and have none,
// ascending, and the first commit of its line, zero when all before is done. Found
// is false when the head is not here.
func (l *oplog) apart(head ID) (nums []uint32, first ID, found bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	num, found, err := l.find(head)
	if err != nil || !found {
		return nil, first, false, err
	}
	l.wake()
	apart := uint32(minApart)
	for apart < apartPerFile*uint32(len(l.keys)) {
		apart *= 2
	}
	for last := num; ; {
		v, i, err := l.at(num)
		if err != nil {
			return nil, first, true, err
		}
		if num/apart != last/apart {
			if _, known := slices.BinarySearch(l.offered, last); known {
				break
			}
			nums = append(nums, last)
		}
		rec := v.rec(i)
		if last = num; rec.parent == noParent || rec.based {
			if first, err = l.idOf(v, i); err != nil {
				return nil, first, true, err
			}
			break
		}
		num = rec.parent
	}
	slices.Reverse(nums)
	return nums, first, true, nil
}

// encodeState writes the state of a commit.
func (l *oplog) encodeState(num uint32) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	root, err := l.state(num)
	if err != nil {
		return nil, err
	}
	return appendState(nil, l.epoch, num, root, l.native.load)
}

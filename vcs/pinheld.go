package vcs

import (
	"sync"
	"sync/atomic"
	"time"
)

// pins counts those who read, and holds the epochs that leave while they do. The
// zero value is ready.
type pins struct {
	mu    sync.Mutex
	steps atomic.Int64 // in which epochs have left, see Store.leaving
	left  int          // epochs that have left
	going int          // that are about to leave, as is settled
	from  map[int]int  // pins by how many had left before
	held  []heldEpoch  // newest last
	past  []heldMade
	room  int64 // MaxHeldBytes if 0
}

// heldEpoch is the log of an epoch that has left as one of many.
type heldEpoch struct {
	number int
	log    *oplog
	bytes  int64
	timer  *time.Timer
}

// heldMade are the replacements until an epoch left as one of many.
type heldMade struct {
	number int
	made   map[ID][]byte
}

func (p *pins) take() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.from == nil {
		p.from = make(map[int]int)
	}
	p.from[p.left]++
	return p.left
}

func (p *pins) release(from int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.from[from]--; p.from[from] == 0 {
		delete(p.from, from)
	}
	oldest := p.left + p.going
	for n := range p.from {
		oldest = min(oldest, n)
	}
	p.forget(oldest)
}

// forget lets the first so many epochs that have left go.
func (p *pins) forget(upTo int) {
	for len(p.held) > 0 && p.held[0].number <= upTo {
		p.held[0].timer.Stop()
		p.held[0] = heldEpoch{}
		p.held = p.held[1:]
	}
	for len(p.past) > 0 && p.past[0].number <= upTo {
		p.past[0] = heldMade{}
		p.past = p.past[1:]
	}
}

// announce is told of epochs that are about to leave, and of the replacements
// that were there until now.
func (p *pins) announce(epochs int, made map[ID][]byte) {
	p.steps.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.going += epochs
	if len(p.from) > 0 {
		p.past = append(p.past, heldMade{p.left + p.going, made})
	}
}

// unsettled reports whether epochs are about to leave.
func (p *pins) unsettled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.going > 0
}

// leave takes over the logs of epochs that leave, oldest first.
func (p *pins) leave(logs []*oplog) {
	sizes := make([]int64, len(logs))
	for i, l := range logs {
		_, sizes[i] = l.size()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, l := range logs {
		p.left++
		p.going--
		if len(p.from) == 0 {
			continue
		}
		number := p.left
		p.held = append(p.held, heldEpoch{number, l, sizes[i], time.AfterFunc(MaxHeldFor, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.forget(number)
		})})
	}
	room := p.room
	if room == 0 {
		room = MaxHeldBytes
	}
	var total int64
	for i := len(p.held) - 1; i >= 0; i-- {
		if total += p.held[i].bytes; total > room && len(p.held)-i > MaxHeldEpochs {
			p.forget(p.held[i].number)
			break
		}
	}
}

// after returns the logs that are held and left after so many others, newest
// first.
func (p *pins) after(from int) (logs []*oplog) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(p.held) - 1; i >= 0 && p.held[i].number > from; i-- {
		logs = append(logs, p.held[i].log)
	}
	return logs
}

// madeAfter returns a replacement that was there when so many epochs had left.
func (p *pins) madeAfter(from int, id ID) ([]byte, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range p.past {
		if content, ok := x.made[id]; ok && x.number > from {
			return content, true
		}
	}
	return nil, false
}

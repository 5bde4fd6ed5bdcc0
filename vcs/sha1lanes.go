package vcs

import (
	"encoding/binary"
	"slices"
)

// Messages that do not depend on each other are hashed sixteen at a time where
// the processor has AVX-512: each lane of a register is one of them. That takes a
// third of the time of one after the other.

const sha1LaneCount = 16

// maxLane bounds the messages that are collected, padding included: larger ones
// are for sha1Marks.
const maxLane = 2 << 10

// minLanes is how many messages are worth the lanes: the blocks of fewer take less
// time one after the other.
const minLanes = 6

// sha1LaneStates are the states of sixteen messages, a register for each word.
type sha1LaneStates [5][sha1LaneCount]uint32

func newSHA1Lanes() (h sha1LaneStates) {
	for i, w := range newSHA1() {
		for k := range h[i] {
			h[i][k] = w
		}
	}
	return h
}

func (h *sha1LaneStates) state(lane int) sha1State {
	return sha1State{h[0][lane], h[1][lane], h[2][lane], h[3][lane], h[4][lane]}
}

// id returns the hash of a message that is whole.
func (h *sha1LaneStates) id(lane int) (id ID) {
	for i := range h {
		binary.BigEndian.PutUint32(id[4*i:], h[i][lane&(sha1LaneCount-1)])
	}
	return id
}

// sha1Lanes hashes messages that were collected. The zero value works; its room
// is used again.
type sha1Lanes struct {
	text []byte // of all messages, with their padding
	jobs []sha1Job
}

type sha1Job struct {
	at, blocks int // in text
	id         ID
}

// object adds an object.
func (l *sha1Lanes) object(k Kind, content []byte) {
	at := len(l.text)
	l.text = append(appendHeader(l.text, k, len(content)), content...)
	size := len(l.text) - at
	l.text = slices.Grow(l.text, 2*sha1Block)[:at+sha1Padded(size)]
	sha1Pad(l.text[at:], size)
	l.jobs = append(l.jobs, sha1Job{at: at, blocks: (len(l.text) - at) / sha1Block})
}

// padded adds a message that has its padding.
func (l *sha1Lanes) padded(p []byte) {
	l.jobs = append(l.jobs, sha1Job{at: len(l.text), blocks: len(p) / sha1Block})
	l.text = append(l.text, p...)
}

// sum hashes the messages and returns them, in the order in which they were added,
// with their ids. They are good until the next one is added. It is for machines
// that haveLanes.
func (l *sha1Lanes) sum() []sha1Job {
	l.text = slices.Grow(l.text, maxLane) // a lane goes on behind its message while others are longer
	for jobs := l.jobs; len(jobs) > 0; {
		n := min(len(jobs), sha1LaneCount)
		if n < minLanes {
			for i := range jobs {
				l.rest(&jobs[i], newSHA1(), 0)
			}
			break
		}
		l.some(jobs[:n])
		jobs = jobs[n:]
	}
	jobs := l.jobs
	l.jobs, l.text = l.jobs[:0], l.text[:0]
	return jobs
}

// some hashes as many messages as there are lanes at most, of about one length.
func (l *sha1Lanes) some(jobs []sha1Job) {
	h := newSHA1Lanes()
	var at [sha1LaneCount]int
	longest := 0
	for i := range at {
		job := &jobs[min(i, len(jobs)-1)] // lanes that are left over do it again
		at[i] = job.at
		longest = max(longest, job.blocks)
	}
	for from := 0; ; {
		to, more := longest, 0
		for i := range jobs {
			if b := jobs[i].blocks; b > from {
				to = min(to, b)
				more++
			}
		}
		if more < minLanes {
			for i := range jobs {
				if jobs[i].blocks > from {
					l.rest(&jobs[i], h.state(i), from)
				}
			}
			return
		}
		sha1Blocks16(&h, &l.text[from*sha1Block], &at, to-from)
		for i := range jobs {
			if jobs[i].blocks == to {
				jobs[i].id = h.id(i)
			}
		}
		from = to
	}
}

// rest hashes a message alone, from a block on.
func (l *sha1Lanes) rest(job *sha1Job, h sha1State, from int) {
	sha1Blocks(&h, &l.text[job.at+from*sha1Block], job.blocks-from, nil)
	job.id = h.id()
}

package recording

import (
	"errors"
	"sync"
	"time"

	"arpeggio/arp"
	"arpeggio/internal/control"
	"arpeggio/stack"
	"arpeggio/stack/link"
	"arpeggio/stack/tcp"
	"arpeggio/vcs"
)

// Bounds of a Reporter: the notes that wait, and those in one message.
const (
	maxReports = 4096
	maxInLine  = 100
)

// Reporter tells somebody else, who records the frames of a machine's card from
// outside, what they have led to. It never waits for whoever that is: what there is
// no room for is counted, and the count is told. Its methods may be called from any
// goroutine.
type Reporter struct {
	send  func(control.Message) error
	start time.Time

	mu     sync.Mutex
	notes  []control.Note
	lost   uint64 // since the last message
	stats  Stats
	more   chan struct{} // holds one token when there is something to send
	closed bool
	done   chan struct{}
}

// NewReporter returns a Reporter that sends by send, which may block, until Close.
func NewReporter(send func(control.Message) error) *Reporter {
	r := &Reporter{send: send, start: time.Now(), more: make(chan struct{}, 1), done: make(chan struct{})}
	go r.run()
	return r
}

// Wrap returns dev with each received segment tagged with its mark.
func (r *Reporter) Wrap(dev link.Device) link.Device { return marked{dev} }

// marked is a device that tags the segments it receives.
type marked struct{ link.Device }

// strange tags a frame whose mark is not known, such as a fragment. A segment with
// that mark, a FIN without an acknowledgment, changes no state.
const strange = uint64(tcp.FIN)

// ReadFrames implements link.Device.
func (m marked) ReadFrames(f []link.Frame) (int, error) {
	n, err := m.Device.ReadFrames(f)
	for i := range f[:n] {
		f[i].Tag = strange
		head := f[i].Head
		if f[i].Len() != len(head) {
			head = f[i].AppendTo(nil)
		}
		if p, ok := parse(head); ok && p.isSegment() {
			f[i].Tag = p.mark()
		}
	}
	return n, err
}

// TCP tells of a change of state, as Notes.TCP notes it.
func (r *Reporter) TCP(e stack.TCPEvent) {
	text, flags := describeTCP(e)
	if e.Frame == 0 && flags == 0 {
		return
	}
	n := control.Note{Text: text, Key: connection("tcp", e.Local, e.Remote), Mark: e.Frame, Flags: uint8(flags)}
	if n.Mark != 0 {
		n.Flags = 0
	}
	r.add(n, time.Now())
}

// Commit tells of a commit and the frame that it rests on.
func (r *Reporter) Commit(id vcs.ID, c *arp.Change) {
	r.add(control.Note{Text: CommitText(id), Frame: append([]byte(nil), c.Evidence.Bytes()...)}, c.Time)
}

func (r *Reporter) add(n control.Note, at time.Time) {
	n.Uptime = at.Sub(r.start)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Notes++
	if r.closed || len(r.notes) == maxReports {
		r.lost++
		r.stats.NotesUnplaced++
	} else {
		r.notes = append(r.notes, n)
	}
	select {
	case r.more <- struct{}{}:
	default:
	}
}

// run sends what there is, until Close and nothing is left.
func (r *Reporter) run() {
	defer close(r.done)
	for range r.more {
		for r.sendSome() {
		}
		r.mu.Lock()
		end := r.closed
		r.mu.Unlock()
		if end {
			return
		}
	}
}

// sendSome sends one message, if there is something to tell, and reports whether
// there may be more.
func (r *Reporter) sendSome() bool {
	r.mu.Lock()
	n := min(len(r.notes), maxInLine)
	body := control.Noted{Uptime: time.Since(r.start), Notes: r.notes[:n:n], Lost: r.lost}
	if n == 0 && body.Lost == 0 {
		r.mu.Unlock()
		return false
	}
	r.notes, r.lost = r.notes[n:], 0
	if len(r.notes) == 0 {
		r.notes = nil
	}
	r.mu.Unlock()
	switch err := r.send(control.Message{Type: control.TypeNoted, Noted: &body}); {
	case errors.Is(err, control.ErrLeftBehind):
		return false // it is told, only later
	case err != nil:
		r.mu.Lock()
		defer r.mu.Unlock()
		r.lost += body.Lost + uint64(n)
		r.stats.NotesUnplaced += uint64(n)
		return false // the next note tries again
	}
	return true
}

// Close sends what waits; what comes later is lost.
func (r *Reporter) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	select {
	case r.more <- struct{}{}:
	default:
	}
	<-r.done
}

// Stats returns the counters, of which those of frames are whose who records.
func (r *Reporter) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats
}

// Remote returns what takes in the messages of a Reporter, in order, and notes what
// they tell. Its clock is set by them: the message that came fastest of the latest
// ones says what the Reporter's start is here. It is for one Reporter and one
// goroutine.
func (n *Notes) Remote() func(control.Noted) {
	var starts []time.Time
	return func(m control.Noted) {
		starts = append(starts, time.Now().Add(-m.Uptime))
		if len(starts) > maxStarts {
			starts = starts[1:]
		}
		start := starts[0]
		for _, s := range starts {
			if s.Before(start) {
				start = s
			}
		}
		for i := range m.Notes {
			switch k, at := &m.Notes[i], start.Add(m.Notes[i].Uptime); {
			case len(k.Frame) > 0:
				n.rec.NoteFrame(k.Frame, at, k.Text)
			case k.Mark != 0:
				n.rec.NoteReceived(k.Key, k.Mark, at, k.Text)
			default:
				n.rec.NoteSent(k.Key, k.Flags, at, k.Text)
			}
		}
		n.rec.Unplaced(m.Lost)
	}
}

// maxStarts is how many messages Remote looks back on: a machine that was stopped
// for a while has another start.
const maxStarts = 16

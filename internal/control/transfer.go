package control

import (
	"errors"
	"io"
	"sync"
)

// transfer is an export under way, and where its octets go until whoever asked
// leaves. It is over when its stream is whole or the guest says why it is not.
type transfer struct {
	id   uint64
	over chan struct{}

	mu     sync.Mutex
	done   bool  // over is closed
	result error // once it is over
	last   error // what it ends with if nothing more comes: the guest has said its last word
	moves  int64 // how often a write to w began or ended
	busy   bool  // w is at work

	writing sync.Mutex // held while w writes, for as long as that takes
	w       io.Writer  // nil: nobody wants the octets
	out     int64      // octets that w has taken
	werr    error      // of w
}

// Write takes octets of the stream. It never fails, so that a stream is read to
// its end.
func (t *transfer) Write(p []byte) (int, error) {
	t.move(true)
	defer t.move(false)
	t.writing.Lock()
	defer t.writing.Unlock()
	if t.w != nil && t.werr == nil {
		var n int
		n, t.werr = t.w.Write(p)
		t.out += int64(n)
	}
	return len(p), nil
}

// move notes that w begins to work, or ends: what follows could not be read before.
func (t *transfer) move(busy bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.moves++
	t.busy = busy
}

// streamed takes the end of the stream. Whoever gave it up says why, most often.
func (t *transfer) streamed(err error) {
	if err == nil {
		t.end(nil)
	} else if errors.Is(err, ErrStreamAborted) {
		t.await(err)
	}
}

// answered takes the guest's answer.
func (t *transfer) answered(e *Exported) {
	if e.Error != "" {
		t.end(errors.New("guest: " + e.Error))
	} else {
		t.await(ErrExportMissing)
	}
}

// await remembers what it means if nothing follows; the second such thing is the end.
func (t *transfer) await(last error) {
	t.mu.Lock()
	first := t.last == nil
	if first {
		t.last = last
	}
	t.mu.Unlock()
	if !first {
		t.end(last)
	}
}

// end says that nothing more is waited for; the first time counts.
func (t *transfer) end(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.done {
		t.done, t.result = true, err
		close(t.over)
	}
}

// progress returns a count that grows whenever octets come and whenever they have been
// written, and what it means if it no longer grows, nil while the guest, or a slow
// writer here, may have reasons.
func (t *transfer) progress() (int64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy {
		return t.moves, nil
	}
	return t.moves, t.last
}

// leave ends the writing to w, and returns how much it got and what went wrong. It
// waits for a write that is under way.
func (t *transfer) leave() (int64, error) {
	t.writing.Lock()
	t.w = nil
	out, err := t.out, t.werr
	t.writing.Unlock()
	if err == nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		err = t.result
	}
	return out, err
}

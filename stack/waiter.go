package stack

import (
	"os"
	"sync"
	"time"
)

// waiter blocks the callers of one direction of a connection, with a deadline.
// The stack's lock guards it.
type waiter struct {
	cond    sync.Cond // on the stack's lock
	due     *due      // nil is no deadline
	waiting int32
	busy    bool // held by one call, see acquire
}

// due is a deadline and the timer that wakes at it, nil when it has passed
// already.
type due struct {
	at    time.Time
	timer *time.Timer
}

func (w *waiter) init(mu *sync.Mutex) { w.cond.L = mu }

// wake makes those who wait look again.
func (w *waiter) wake() {
	if w.waiting > 0 {
		w.cond.Broadcast()
	}
}

// check returns os.ErrDeadlineExceeded when the deadline has passed.
func (w *waiter) check() error {
	if w.due != nil && !time.Now().Before(w.due.at) {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// wait blocks until wake. Spurious returns happen.
func (w *waiter) wait() {
	w.waiting++
	w.cond.Wait()
	w.waiting--
}

// set changes the deadline; zero is none. Those who wait notice.
func (w *waiter) set(t time.Time) {
	w.stopTimer()
	w.due = nil
	if !t.IsZero() {
		w.due = &due{at: t}
		if d := time.Until(t); d > 0 {
			w.due.timer = time.AfterFunc(d, func() {
				w.cond.L.Lock()
				defer w.cond.L.Unlock()
				w.wake()
			})
		}
	}
	w.wake()
}

// stop ends the deadline's timer for good.
func (w *waiter) stop() {
	w.stopTimer()
	w.wake()
}

func (w *waiter) stopTimer() {
	if w.due != nil && w.due.timer != nil {
		w.due.timer.Stop()
	}
}

// acquire keeps other calls of the direction out until release, so that large
// writes do not interleave. It fails when check does, or usable returns an error.
func (w *waiter) acquire(usable func() error) error {
	for {
		if err := usable(); err != nil {
			return err
		}
		if err := w.check(); err != nil {
			return err
		}
		if !w.busy {
			w.busy = true
			return nil
		}
		w.wait()
	}
}

func (w *waiter) release() {
	w.busy = false
	w.wake()
}

package vcstest

import (
	"context"
	"errors"
	"iter"
	"sync"

	"arpeggio/vcs"
)

// ErrInjected is the error of a Faulty backend.
var ErrInjected = errors.New("vcstest: injected error")

// Fault is what a Faulty backend does with one Apply.
type Fault int

const (
	NoFault   Fault = iota
	FailFirst       // fail and apply nothing
	FailAfter       // apply the batch, then fail all the same
)

// Faulty wraps a backend and injects errors. It takes all objects, unless
// KeepLog was called. It is safe for concurrent use.
type Faulty struct {
	vcs.Backend
	mu      sync.Mutex
	applies int
	fault   func(n int) Fault
	load    error
	close   error
	read    func(id vcs.ID) error
	log     func(n int) error
	gate    chan struct{}
	batches []vcs.Batch
	keepLog bool
}

// NewFaulty wraps a backend.
func NewFaulty(b vcs.Backend) *Faulty { return &Faulty{Backend: b} }

// KeepLog makes f want a log if the backend does.
func (f *Faulty) KeepLog() *Faulty {
	f.keepLog = true
	return f
}

// KeepsLog implements vcs.LogKeeper.
func (f *Faulty) KeepsLog() bool {
	k, ok := f.Backend.(vcs.LogKeeper)
	return ok && f.keepLog && k.KeepsLog()
}

// FailApply asks fault about each Apply from now on, counted from 0. Nil stops
// that.
func (f *Faulty) FailApply(fault func(n int) Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.applies, f.fault = 0, fault
}

// FailLoad makes Load fail with an error until it is set to nil.
func (f *Faulty) FailLoad(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.load = err
}

// FailClose makes Close, which closes the backend all the same, return an error.
func (f *Faulty) FailClose(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.close = err
}

// FailRead asks read about each object that is read or listed from now on: an
// error of it is the answer. Nil stops that.
func (f *Faulty) FailRead(read func(id vcs.ID) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.read = read
}

// FailLog asks log about each record of the logs that Load returns from now on,
// counted from 0: an error of it ends the log. Nil stops that.
func (f *Faulty) FailLog(log func(n int) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = log
}

// Hold makes each Apply from now on wait until release is called.
func (f *Faulty) Hold() (release func()) {
	gate := make(chan struct{})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gate = gate
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.gate == gate {
			f.gate = nil
			close(gate)
		}
	}
}

// Batches returns the batches that were applied.
func (f *Faulty) Batches() []vcs.Batch {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]vcs.Batch(nil), f.batches...)
}

// Load implements vcs.Backend.
func (f *Faulty) Load(ctx context.Context) (vcs.State, error) {
	f.mu.Lock()
	err, log := f.load, f.log
	f.mu.Unlock()
	if err != nil {
		return vcs.State{}, err
	}
	st, err := f.Backend.Load(ctx)
	if err != nil || log == nil {
		return st, err
	}
	records := st.Log
	st.Opened = nil
	st.Log = func(yield func([]byte, error) bool) {
		n := 0
		for rec, err := range records {
			if err == nil {
				err = log(n)
			}
			if n++; err != nil {
				yield(nil, err)
				return
			}
			if !yield(rec, nil) {
				return
			}
		}
	}
	return st, nil
}

// Close implements vcs.Backend.
func (f *Faulty) Close() error {
	f.mu.Lock()
	err := f.close
	f.mu.Unlock()
	return errors.Join(f.Backend.Close(), err)
}

// Apply implements vcs.Backend.
func (f *Faulty) Apply(ctx context.Context, b *vcs.Batch) error {
	f.mu.Lock()
	fault := NoFault
	if f.fault != nil {
		fault = f.fault(f.applies)
	}
	f.applies++
	gate := f.gate
	f.mu.Unlock()
	if gate != nil {
		<-gate
	}
	if fault == FailFirst {
		return ErrInjected
	}
	if err := f.Backend.Apply(ctx, b); err != nil {
		return err
	}
	f.mu.Lock()
	f.batches = append(f.batches, *b)
	f.mu.Unlock()
	if fault == FailAfter {
		return ErrInjected
	}
	return nil
}

// ReadObject implements vcs.ObjectReader.
func (f *Faulty) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	f.mu.Lock()
	read := f.read
	f.mu.Unlock()
	if read != nil {
		if err := read(id); err != nil {
			return 0, nil, err
		}
	}
	return f.Backend.(vcs.ObjectReader).ReadObject(id)
}

// Objects implements vcs.ObjectLister. It lists nothing when the backend cannot.
func (f *Faulty) Objects() iter.Seq2[vcs.ID, error] {
	return func(yield func(vcs.ID, error) bool) {
		for id, err := range listed(f.Backend) {
			f.mu.Lock()
			read := f.read
			f.mu.Unlock()
			if err == nil && read != nil {
				err = read(id)
			}
			if !yield(id, err) || err != nil {
				return
			}
		}
	}
}

// listed lists the objects of a backend that can.
func listed(b vcs.Backend) iter.Seq2[vcs.ID, error] {
	if l, ok := b.(vcs.ObjectLister); ok {
		return l.Objects()
	}
	return func(func(vcs.ID, error) bool) {}
}

package qemu

import (
	"context"
	"fmt"
	"time"
)

// AccelKind is the way in which guest code runs.
type AccelKind uint8

const (
	// TCG translates guest code; it works everywhere and is slow.
	TCG AccelKind = iota
	// KVM runs guest code on the processor.
	KVM
)

// String returns QEMU's name for the kind.
func (k AccelKind) String() string {
	if k == KVM {
		return "kvm"
	}
	return "tcg"
}

// Accelerator is a kind and why it was chosen. The zero value is TCG.
type Accelerator struct {
	Kind   AccelKind
	Reason string // one line for people
}

// Limits of Probe.
const (
	// ProbeLimit is the longest that Probe takes.
	ProbeLimit = 1500 * time.Millisecond
	// probeRuns is how often the trial guest runs; the fastest counts, because
	// a busy host may take the processor away in the middle of one.
	probeRuns = 3
	// probeSlow is the time above which 21,000 instructions were not run by the
	// processor: an interpreter was measured at 11 ms and more, hardware needs
	// some microseconds.
	probeSlow = 3 * time.Millisecond
)

// trial is what running the trial guest has shown.
type trial struct {
	best time.Duration // of the runs that ended as they should
	err  error         // why the guest could not be run
}

// verdict turns a trial into a choice.
func (t trial) verdict() Accelerator {
	switch {
	case t.err != nil:
		return Accelerator{TCG, fmt.Sprintf("KVM cannot be used: %v", t.err)}
	case t.best > probeSlow:
		return Accelerator{TCG, fmt.Sprintf("KVM cannot be used: /dev/kvm opens, but guest code is interpreted (a trial of 21,000 instructions took %.1f ms)",
			float64(t.best)/float64(time.Millisecond))}
	}
	return Accelerator{KVM, fmt.Sprintf("KVM works (trial guest ran in %v)", t.best.Round(time.Microsecond))}
}

// Probe finds out, by running a trial guest of a few instructions, whether KVM
// can run guests here: /dev/kvm may open, and every preparation succeed, on a
// machine that cannot. It returns within ProbeLimit and falls back to TCG with
// a reason.
func Probe(ctx context.Context) Accelerator {
	ctx, cancel := context.WithTimeout(ctx, ProbeLimit)
	defer cancel()
	done := make(chan trial, 1)
	go func() { done <- tryKVM(ctx) }()
	select {
	case t := <-done:
		return t.verdict()
	case <-ctx.Done():
		return Accelerator{TCG, "KVM cannot be used: the trial guest did not end in time"}
	}
}

package qemu

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestProbeIsBoundedAndGivesAReason(t *testing.T) {
	start := time.Now()
	a := Probe(context.Background())
	if d := time.Since(start); d > time.Minute { // two seconds, but for what a busy machine adds
		t.Errorf("took %v, the promise is two seconds", d)
	}
	if a.Reason == "" || strings.Contains(a.Reason, "\n") {
		t.Errorf("reason %q is not one line", a.Reason)
	}
	t.Logf("%v: %s (%v)", a.Kind, a.Reason, time.Since(start).Round(time.Millisecond))
}

func TestProbeEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if a := Probe(ctx); a.Kind == KVM {
		// Only when the guest was faster than the cancelled context.
		t.Logf("finished first: %s", a.Reason)
	} else if a.Reason == "" {
		t.Error("no reason")
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		name string
		in   trial
		kind AccelKind
		says string
	}{
		{"hardware", trial{best: 40 * time.Microsecond}, KVM, "works"},
		{"descheduled twice out of three", trial{best: 2900 * time.Microsecond}, KVM, "works"},
		{"interpreted", trial{best: 11 * time.Millisecond}, TCG, "interpreted"},
		{"missing", trial{err: errors.New("/dev/kvm is missing")}, TCG, "missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := c.in.verdict()
			if a.Kind != c.kind || !strings.Contains(a.Reason, c.says) {
				t.Errorf("got %v %q", a.Kind, a.Reason)
			}
		})
	}
}

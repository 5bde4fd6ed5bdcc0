package appliance

import (
	"testing"
	"time"
)

// A failure is reported for a while and then forgotten, unless it happens again.
func TestFailuresAreForgotten(t *testing.T) {
	var f failures
	now := time.Unix(0, 0)
	for _, c := range []struct {
		after time.Duration
		count uint64
		want  bool
	}{
		{0, 0, false},
		{time.Minute, 1, true},
		{unwell - time.Second, 1, true},
		{2 * time.Second, 1, false},
		{time.Minute, 2, true},
	} {
		now = now.Add(c.after)
		if got := f.since(c.count, now); got != c.want {
			t.Errorf("at %v with %d failures: %v", now.Unix(), c.count, got)
		}
	}
}

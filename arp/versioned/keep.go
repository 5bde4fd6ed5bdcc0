package versioned

import "time"

// Keep returns a function for vcs.Retention.Keep: expired entries are left out
// of a new epoch when they expired longer than age ago, by the clock now (nil:
// time.Now). Everything else stays, also what is no entry.
//
// Age must be longer than any node is away: one that comes back later, with the
// entry from before it expired, brings that back. An age of zero or less keeps
// all.
func Keep(age time.Duration, now func() time.Time) func(path string, content []byte) bool {
	if now == nil {
		now = time.Now
	}
	return func(path string, content []byte) bool {
		if age <= 0 {
			return true
		}
		if _, ok := (Layout{}).Key(path); !ok {
			return true
		}
		e, err := Decode(content)
		return err != nil || e.State != Expired || e.Clock > now().Add(-age).UnixMilli()
	}
}

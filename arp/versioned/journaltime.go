package versioned

import (
	"errors"
	"time"

	"arpeggio/vcs"
)

// ruleOperator is the rule of what an operator ordered.
const ruleOperator = "operator"

// own returns the time that the frame's clock said.
func (o *Observation) own() time.Time {
	if o.Stamp.IsZero() {
		return o.Time
	}
	return o.Stamp
}

// Latest returns the time of the latest observation on the branch, zero when
// there is none. What an operator ordered, such as a pin, does not count: it is
// of the time of day and says nothing about how far captures were read.
func (j *Journal) Latest() time.Time { return j.latest }

// findLatest looks for the latest observation, going back from the head.
func (j *Journal) findLatest() (time.Time, error) {
	for id := j.head; !id.IsZero(); {
		c, err := j.repo.Store().ReadJoined(id)
		if errors.Is(err, vcs.ErrNotFound) && id != j.head {
			break // a shallow clone ends here
		}
		if err != nil {
			return time.Time{}, err
		}
		at, err := time.Parse(time.RFC3339Nano, c.Trailer(TrailerTime))
		if err == nil && c.Trailer(TrailerRule) != ruleOperator {
			return at.UTC(), nil
		}
		if len(c.Parents) == 0 {
			if c.Trailer(vcs.TrailerEpoch) != "" {
				return c.Time().UTC(), nil // what it stands for has left
			}
			break
		}
		id = c.Parents[0]
	}
	return time.Time{}, nil
}

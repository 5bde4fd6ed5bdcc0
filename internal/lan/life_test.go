package lan

import (
	"math/rand/v2"
	"testing"
	"time"
)

// of is the number of stations in these tests.
const of = DefaultStations

func steps(seed uint64, self, n int, until time.Duration) []step {
	l := newLife(seed, self, n, tempers(rand.New(rand.NewPCG(seed, 0)), n)[self])
	var out []step
	for {
		s := l.next()
		if s.at > until {
			return out
		}
		out = append(out, s)
	}
}

func TestLifeIsAFunctionOfItsSeed(t *testing.T) {
	same, other := true, true
	for i := range of {
		a, b, c := steps(1, i, of, time.Hour), steps(1, i, of, time.Hour), steps(2, i, of, time.Hour)
		if len(a) < 100 {
			t.Fatalf("station %d does only %d things in an hour", i, len(a))
		}
		for j := range min(len(a), len(b), len(c)) {
			same = same && a[j] == b[j]
			other = other && a[j] == c[j]
		}
	}
	if !same {
		t.Error("one seed gives two lives")
	}
	if other {
		t.Error("two seeds give one life")
	}
}

func TestLifeIsOrderedAndSensible(t *testing.T) {
	for seed := range uint64(50) {
		for i := range of {
			var last time.Duration
			away, claims := true, false
			for _, s := range steps(seed, i, of, 2*time.Hour) {
				if s.at < last {
					t.Fatalf("seed %d station %d: %v at %v after %v", seed, i, s.what, s.at, last)
				}
				last = s.at
				switch s.what {
				case join:
					away = false
				case fallSilent:
					if away {
						t.Fatalf("seed %d station %d falls silent twice", seed, i)
					}
					away, claims = true, false
				case collide:
					claims = true
				case yield:
					if !claims {
						t.Fatalf("seed %d station %d yields what it never claimed", seed, i)
					}
				}
				if away && s.what != fallSilent {
					t.Fatalf("seed %d station %d %v while it is away", seed, i, s.what)
				}
				if (s.what == ask || s.what == collide) && (s.whom == i || s.whom < 0 || s.whom >= of) {
					t.Fatalf("seed %d station %d: whom = %d", seed, i, s.whom)
				}
			}
		}
	}
}

// What `make run` promises to a visitor of two minutes must hold for any seed.
func TestTwoMinutesHoldTheWholeStory(t *testing.T) {
	for seed := range uint64(200) {
		joined, cards, collisions, longSilences := 0, 0, 0, 0
		for i := range of {
			var silentAt time.Duration
			here := false
			for _, s := range steps(seed, i, of, 2*time.Minute) {
				switch s.what {
				case join:
					if !here && silentAt == 0 {
						joined++
					}
					here, silentAt = true, 0
				case changeCard:
					if s.at < 90*time.Second {
						cards++
					}
				case collide:
					collisions++
				case fallSilent:
					if s.at < 45*time.Second {
						longSilences++
					}
				}
			}
		}
		if joined < 8 || cards < 1 || collisions < 1 || longSilences < 1 {
			t.Errorf("seed %d: %d joined, %d cards changed, %d collisions, %d fell silent for more than a minute",
				seed, joined, cards, collisions, longSilences)
		}
	}
}

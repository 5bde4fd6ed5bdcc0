package vcs

import (
	"bytes"
	"reflect"
	"testing"
	"time"
)

func sampleEpoch() Epoch {
	return Epoch{
		Number: 3, State: EpochArchived, Began: time.Unix(1_763_000_000, 0).UTC(), Ended: time.Unix(1_763_000_900, 0).UTC(),
		Commits: 12, LogBytes: 345,
		Roots:   []EpochRoot{{Ref: "refs/heads/primary", Root: ID{1}, Old: ID{2}}, {Root: ID{3}, Old: ID{4}}},
		Heads:   []Ref{{"refs/heads/primary", ID{5}}, {"refs/tags/v1", ID{6}}},
		Archive: Receipt{Name: "epoch-000003.bundle", SHA256: [32]byte{7}, Bytes: 99},
		Reason:  "none that is worth a word",
	}
}

func TestLedgerFile(t *testing.T) {
	want := sampleEpoch()
	got, err := parseLedger(3, ledgerText(&want))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "state moon\n", "state live\nroot 12\n", "state live\nsha256 12\n", "state live\nbegan yesterday\n"} {
		if _, err := parseLedger(1, []byte(bad)); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	for _, name := range []string{"epoch-1", "epoch-0000001", "epoch-000000", "x", "epoch--00001"} {
		if n, ok := ledgerNumber(name); ok {
			t.Errorf("%s is epoch %d", name, n)
		}
	}
}

// FuzzLedger: what is accepted is written and read the same.
func FuzzLedger(f *testing.F) {
	e := sampleEpoch()
	f.Add(ledgerText(&e))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := parseLedger(1, text)
		if err != nil {
			return
		}
		once := ledgerText(&e)
		again, err := parseLedger(1, once)
		if err != nil {
			t.Fatalf("%q: %v", once, err)
		}
		if twice := ledgerText(&again); !bytes.Equal(once, twice) {
			t.Errorf("%q becomes %q", once, twice)
		}
	})
}

// FuzzLost is FuzzLedger for the sum of lost epochs.
func FuzzLost(f *testing.F) {
	f.Add([]byte("epochs 1 57\nstate lost\nbegan 2026-11-21T10:00:00Z\nended 2026-11-21T12:49:16Z\ncommits 300\nbytes 9000\nlost 50 no archive is configured\nlost 7 for other reasons\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := parseLost(text)
		if err != nil {
			return
		}
		once := lostText(&e)
		again, err := parseLost(once)
		if err != nil {
			t.Fatalf("%q: %v", once, err)
		}
		if twice := lostText(&again); !bytes.Equal(once, twice) {
			t.Errorf("%q becomes %q", once, twice)
		}
	})
}

// FuzzEpochHead: a record that is accepted is the record of what was read.
func FuzzEpochHead(f *testing.F) {
	h := epochHead{number: 2, began: time.Unix(1_763_000_000, 0).UTC(), opened: extent{1234, 56}}
	f.Add(h.record()[1:])
	f.Fuzz(func(t *testing.T, raw []byte) {
		h, err := parseEpochHead(raw)
		if err != nil {
			return
		}
		if got, err := parseEpochHead(h.record()[1:]); err != nil || got != h {
			t.Errorf("%+v becomes %+v, %v", h, got, err)
		}
	})
}

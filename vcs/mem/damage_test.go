package mem_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// TestDamagedRecords opens stores on logs whose records were flipped, cut, lost,
// doubled or exchanged: each opens, says what is wrong, reads no object that is
// not what its name says, reads every branch of which no record was touched, and
// takes new commits.
func TestDamagedRecords(t *testing.T) {
	images := 120
	if os.Getenv("SOAK") != "" {
		images = 40_000
	}
	b := mem.New()
	r := open(t, b)
	commits := make(map[vcs.ID]bool)
	for seed := range uint64(150) {
		for _, id := range vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Seed: seed, Steps: 3, Branches: 3, Keys: 50}) {
			commits[id] = true
		}
		if err := r.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	st, err := b.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var records [][]byte
	for rec, err := range st.Log {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, rec)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	intact, partly, none := 0, 0, 0
	for i := range images {
		rnd := rand.New(rand.NewPCG(9, uint64(i)))
		log, what := damageLog(records, rnd)
		what = fmt.Sprintf("image %d: %s", i, what)
		damaged := mem.New()
		batch := &vcs.Batch{Log: log}
		for _, ref := range st.Refs {
			batch.Refs = append(batch.Refs, vcs.RefUpdate{Name: ref.Name, New: ref.Target})
		}
		if err := damaged.Apply(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		r := open(t, damaged)
		rep, err := vcs.Verify(t.Context(), r.Store(), st.Refs, nil)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		for _, p := range rep.Problems {
			if !errors.Is(p.Err, vcs.ErrCorrupt) && !errors.Is(p.Err, vcs.ErrNotFound) {
				t.Errorf("%s: %v", what, p)
			}
		}
		bad := make(map[string]bool)
		for _, p := range rep.Problems {
			bad[p.Ref] = true
		}
		switch len(bad) {
		case 0:
			intact++
		case len(st.Refs):
			none++
		default:
			partly++
		}
		for c := range commits { // some of the history, in any order
			kind, content, err := r.Store().ReadObject(c)
			if err == nil && vcs.HashObject(kind, content) != c {
				t.Fatalf("%s: %v reads as another object", what, c)
			}
			if rnd.IntN(40) == 0 {
				break
			}
		}
		if _, err := r.Set(t.Context(), "afterwards", "key", what, vcs.CommitInfo{Message: what}); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if err := r.Close(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		r = open(t, damaged)
		if v, ok, err := at(t, r, "afterwards").Get("key"); v != what || !ok || err != nil {
			t.Fatalf("%s: what was written afterwards: %v, %v", what, ok, err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d images of %d records: %d with all branches, %d with some, %d with none", images, len(records), intact, partly, none)
	if partly == 0 {
		t.Error("no damage left a branch whole and broke another")
	}
}

func open(t *testing.T, b vcs.Backend) *vcs.Repo[string, string] {
	t.Helper()
	r, err := vcs.Open(context.Background(), b, vcs.Config[string, string]{Merge: vcstest.Larger})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func at(t *testing.T, r *vcs.Repo[string, string], rev string) *vcs.Snapshot[string, string] {
	t.Helper()
	s, err := r.At(rev)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// damageLog returns a damaged copy of a log, and what was done to it.
func damageLog(records [][]byte, rnd *rand.Rand) ([][]byte, string) {
	log := slices.Clone(records)
	i := rnd.IntN(len(log))
	if rnd.IntN(2) == 0 { // more of the newest, which are many and small
		i = len(log) - 1 - rnd.IntN(min(len(log), 20))
	}
	rec := bytes.Clone(log[i])
	what := ""
	switch kind := rnd.IntN(8); {
	case kind < 3 && len(rec) > 0:
		at := rnd.IntN(len(rec))
		rec[at] ^= 1 << rnd.IntN(8)
		log[i], what = rec, fmt.Sprintf("bit flipped at %d", at)
	case kind == 3 && len(rec) > 0:
		at := rnd.IntN(len(rec))
		log[i], what = rec[:at], fmt.Sprintf("cut at %d", at)
	case kind == 4 && len(rec) > 0:
		at := rnd.IntN(len(rec))
		clear(rec[at:min(at+512, len(rec))])
		log[i], what = rec, fmt.Sprintf("zeros at %d", at)
	case kind == 5:
		log, what = slices.Delete(log, i, i+1), "lost"
	case kind == 6:
		log, what = slices.Insert(log, i, rec), "doubled"
	default:
		j := rnd.IntN(len(log))
		log[i], log[j] = log[j], log[i]
		what = fmt.Sprintf("exchanged with %d", j)
	}
	return log, fmt.Sprintf("record %d of %d: %s", i, len(records), what)
}

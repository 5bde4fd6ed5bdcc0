package vcs_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/packfile"
	"arpeggio/vcs/vcstest"
)

// shelf is an archiver in memory.
type shelf struct {
	mu      sync.Mutex
	fail    error
	objects map[int]map[vcs.ID]vcs.Object
}

func (s *shelf) Archive(ctx context.Context, e vcs.Epoch, src vcs.Source) (vcs.Receipt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return vcs.Receipt{}, s.fail
	}
	var sel packfile.Selection
	for _, r := range e.Heads {
		sel.Wants = append(sel.Wants, r.Target)
	}
	set, err := packfile.Select(ctx, src, sel)
	if err != nil {
		return vcs.Receipt{}, err
	}
	objects := make(map[vcs.ID]vcs.Object)
	for id := range set.IDs {
		kind, content, err := src.ReadObject(id)
		if err != nil {
			return vcs.Receipt{}, err
		}
		if vcs.HashObject(kind, content) != id {
			return vcs.Receipt{}, fmt.Errorf("%v: another object", id)
		}
		objects[id] = vcs.Object{ID: id, Kind: kind, Content: content}
	}
	if err := set.Err(); err != nil {
		return vcs.Receipt{}, err
	}
	if s.objects == nil {
		s.objects = make(map[int]map[vcs.ID]vcs.Object)
	}
	s.objects[e.Number] = objects
	return vcs.Receipt{Name: fmt.Sprintf("shelf-%d", e.Number), Bytes: int64(len(objects))}, nil
}

func (s *shelf) Missing(_ context.Context, archived []vcs.Epoch) (out []int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range archived {
		if s.objects[e.Number] == nil {
			out = append(out, e.Number)
		}
	}
	return out, nil
}

func (s *shelf) OpenEpoch(_ context.Context, e vcs.Epoch) (vcs.ObjectReader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.objects[e.Number] == nil {
		return nil, vcs.ErrNotFound
	}
	return shelved(s.objects[e.Number]), nil
}

type shelved map[vcs.ID]vcs.Object

func (s shelved) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	o, ok := s[id]
	if !ok {
		return 0, nil, fmt.Errorf("%w: %v", vcs.ErrNotFound, id)
	}
	return o.Kind, o.Content, nil
}

// accounted checks that each acknowledged commit is in the store, in an archive
// that the ledger names, or in an epoch that is recorded as lost.
func accounted(t testing.TB, s *vcs.Store, acked []vcs.ID) (here, archived, lost int) {
	t.Helper()
	pin := s.Pin() // what leaves from now on is here
	defer pin.Release()
	var readers []vcs.ObjectReader
	lossy, first, last := 0, -1, 0
	for _, e := range s.Epochs() {
		switch e.State {
		case vcs.EpochArchived:
			r, err := s.OpenEpoch(t.Context(), e.Number)
			if err != nil {
				t.Fatal(err)
			}
			readers = append(readers, r)
		case vcs.EpochLost:
			lossy += e.Commits
			if e.Reason == "" {
				t.Errorf("epoch %d is lost for no reason", e.Number)
			}
		}
	}
next:
	for i, id := range acked {
		if _, _, err := pin.ReadObject(id); err == nil {
			here++
			continue
		}
		for _, r := range readers {
			if _, _, err := r.ReadObject(id); err == nil {
				archived++
				continue next
			}
		}
		lost++
		if last = i; first < 0 {
			first = i
		}
	}
	if lost > lossy {
		t.Errorf("%d commits, from %d to %d, are nowhere, and the ledger admits %d", lost, first, last, lossy)
	}
	return here, archived, lost
}

func TestRetentionByBytes(t *testing.T) {
	for _, with := range []string{"archive", "no archive", "failing archive"} {
		t.Run(with, func(t *testing.T) {
			b, a := mem.New(), &shelf{}
			cfg := vcs.Config[string, string]{Merge: vcstest.Larger}
			cfg.Retention = vcs.Retention{MaxBytes: 64 << 10}
			switch with {
			case "archive":
				cfg.Retention.Archive = a
			case "failing archive":
				a.fail = fmt.Errorf("no room: %w", vcs.ErrArchiveFull)
				cfg.Retention.Archive = a
			}
			r := openOn(t, b, cfg)
			var acked []vcs.ID
			most := int64(0)
			for i := range 9000 {
				id, err := r.Set(t.Context(), "primary", fmt.Sprint("d", i%7, "/k", i%50), fmt.Sprint("value ", i*7919), vcs.CommitInfo{Message: fmt.Sprint("change ", i)})
				if err != nil {
					t.Fatal(err)
				}
				acked = append(acked, id)
				if i%250 == 249 {
					if err := r.Sync(t.Context()); err != nil {
						t.Fatal(err)
					}
					most = max(most, r.Store().Stats().LogBytes)
				}
				if i == 5000 {
					if err := r.Close(); err != nil {
						t.Fatal(err)
					}
					r = openOn(t, b, cfg)
				}
			}
			if _, err := r.Store().Collect(t.Context()); err != nil && with != "failing archive" {
				t.Fatal(err)
			}
			st := r.Store().Stats()
			here, archived, lost := accounted(t, r.Store(), acked)
			t.Logf("%+v, at most %d bytes; %d commits here, %d archived, %d lost", st, most, here, archived, lost)
			if st.LogBytes > 64<<10 || most > 3*64<<10 { // a group commit is larger than a share here
				t.Errorf("%d bytes at the end, %d at most", st.LogBytes, most)
			}
			if lost > 0 != (with != "archive") || archived > 0 != (with == "archive") {
				t.Errorf("%d archived, %d lost", archived, lost)
			}
			if with == "failing archive" {
				for _, e := range r.Store().Epochs() {
					if e.State == vcs.EpochLost && !strings.Contains(e.Reason, "no room") {
						t.Errorf("epoch %d is lost because %q", e.Number, e.Reason)
					}
				}
			}
			vcstest.Export(t, r.Store())
			if with != "archive" {
				return
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			r = openOn(t, b, cfg) // its keeper has nothing to do for a while
			a.mu.Lock()
			delete(a.objects, 1)
			a.mu.Unlock()
			rep, err := r.Store().Collect(t.Context())
			if err != nil || len(rep.Gone) != 1 || rep.Gone[0].Number != 1 || rep.Gone[0].State != vcs.EpochLost {
				t.Errorf("an archive that is gone: %+v, %v", rep, err)
			}
			if _, err := r.Store().OpenEpoch(t.Context(), 1); !errors.Is(err, vcs.ErrNotFound) {
				t.Errorf("the epoch opens: %v", err)
			}
		})
	}
}

// TestCloseWhileArchiving: a store that is closed at any moment of an epoch's end,
// archive and drop has lost nothing when it is opened again.
func TestCloseWhileArchiving(t *testing.T) {
	for seed := range uint64(3) {
		rnd := rand.New(rand.NewPCG(seed, 21))
		b, a := mem.New(), &shelf{}
		cfg := vcs.Config[string, string]{Merge: vcstest.Larger}
		cfg.Retention = vcs.Retention{MaxBytes: 64 << 10, Archive: a}
		r := openOn(t, b, cfg)
		var acked []vcs.ID
		for i := range 4000 {
			acked = append(acked, must(r.Set(t.Context(), "primary", fmt.Sprint("d", i%7, "/k", i%50), fmt.Sprint("value ", i*7919), vcs.CommitInfo{Message: fmt.Sprint("change ", i)}))(t))
			if i%250 != 249 {
				continue
			}
			if err := r.Sync(t.Context()); err != nil { // the keeper may start
				t.Fatal(err)
			}
			if rnd.IntN(2) == 0 {
				if err := r.Close(); err != nil {
					t.Fatal(err)
				}
				r = openOn(t, b, cfg)
			}
		}
		if _, err := r.Store().Collect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if here, _, lost := accounted(t, r.Store(), acked); lost > 0 || here > 3000 {
			t.Errorf("seed %d: %d commits are lost, %d here", seed, lost, here)
		}
	}
}

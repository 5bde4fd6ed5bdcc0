package mergers_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/mergers"
	"arpeggio/vcs/vcstest"
)

var keys = []string{"a", "b/c", "b/d", "e/f/g"}

func skewed(rnd *rand.Rand) time.Time {
	return time.UnixMilli(1_700_000_000_000 + int64(rnd.IntN(1000)))
}

func TestRegistersConverge(t *testing.T) {
	codec := mergers.RegisterCodec[string]{Value: vcs.Raw[string]{}}
	vcstest.TestMerge(t, vcstest.MergeLaws[string, mergers.Register[string]]{
		Config: vcs.Config[string, mergers.Register[string]]{Codec: codec, Merge: mergers.Registers[string](codec)},
		Keys:   keys,
		Write: func(rnd *rand.Rand, _ string, current vcs.Opt[mergers.Register[string]]) vcs.Opt[mergers.Register[string]] {
			writer := fmt.Sprint("n", rnd.IntN(3)) // the same on several branches, too
			if rnd.IntN(4) == 0 {
				return vcs.Some(current.Value.Remove(skewed(rnd), writer))
			}
			return vcs.Some(current.Value.Write(skewed(rnd), writer, fmt.Sprint(rnd.IntN(5))))
		},
	})
}

func TestSetsConverge(t *testing.T) {
	vcstest.TestMerge(t, vcstest.MergeLaws[string, mergers.Set]{
		Config: vcs.Config[string, mergers.Set]{Codec: mergers.SetCodec{}, Merge: mergers.Sets[string]()},
		Keys:   keys,
		Write: func(rnd *rand.Rand, _ string, current vcs.Opt[mergers.Set]) vcs.Opt[mergers.Set] {
			elem := fmt.Sprint("element ", rnd.IntN(4))
			if rnd.IntN(2) == 0 {
				return vcs.Some(current.Value.Remove(elem))
			}
			return vcs.Some(current.Value.Add(elem))
		},
	})
}

// host is a value of parts.
type host struct {
	Name mergers.Register[string]
	Seen int
	Tags map[string]int
}

// jsonCodec writes values as JSON, which sorts maps.
type jsonCodec[V any] struct{}

func (jsonCodec[V]) Encode(v V) ([]byte, error) { return json.Marshal(v) }

func (jsonCodec[V]) Decode(b []byte) (v V, err error) { return v, json.Unmarshal(b, &v) }

func hostMerge() vcs.MergeFunc[string, host] {
	name := mergers.Registers[string](mergers.RegisterCodec[string]{Value: vcs.Raw[string]{}})
	tags := mergers.Map[string](mergers.Max[string](cmp.Compare[int]))
	return mergers.Option(mergers.RemovalLoses, mergers.Struct(
		mergers.Field(func(h *host) *mergers.Register[string] { return &h.Name }, name),
		mergers.Field(func(h *host) *int { return &h.Seen }, mergers.Max[string](cmp.Compare[int])),
		mergers.Field(func(h *host) *map[string]int { return &h.Tags }, mergers.Option(mergers.RemovalLoses, tags)),
	))
}

func TestStructsOfJoinsConverge(t *testing.T) {
	vcstest.TestMerge(t, vcstest.MergeLaws[string, host]{
		Config: vcs.Config[string, host]{
			Codec: jsonCodec[host]{},
			Merge: hostMerge(),
		},
		Keys: keys,
		Write: func(rnd *rand.Rand, _ string, current vcs.Opt[host]) vcs.Opt[host] {
			h := current.Value
			switch rnd.IntN(3) {
			case 0:
				h.Name = h.Name.Write(skewed(rnd), fmt.Sprint("n", rnd.IntN(3)), fmt.Sprint(rnd.IntN(5)))
			case 1:
				h.Seen += 1 + rnd.IntN(3)
			default:
				tags := map[string]int{}
				for k, v := range h.Tags {
					tags[k] = v
				}
				tags[fmt.Sprint("t", rnd.IntN(3))] += 1 + rnd.IntN(3)
				h.Tags = tags
			}
			return vcs.Some(h)
		},
	})
}

// A plain number, merged by adding what both sides added, is what a counter
// cannot be.
func TestPlainSumsLoseAdditions(t *testing.T) {
	ctx := t.Context()
	type number = int
	r, err := vcs.Open(ctx, mem.New(), vcs.Config[string, number]{
		Codec: jsonCodec[number]{},
		Merge: mergers.Option(mergers.RemovalLoses, func(_ string, base vcs.Opt[number], ours, theirs number) (number, error) {
			return ours + theirs - base.Value, nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	total, err := addOnTwoBranches(ctx, r, func(n number, _ string) number { return n + 1 })
	if err != nil {
		t.Fatal(err)
	}
	if total != 1 {
		t.Errorf("1 + 1 = %d: equal contents are now told apart, so the comment on Counter is wrong", total)
	}
}

func TestCounterCountsEqualAdditions(t *testing.T) {
	ctx := t.Context()
	r, err := vcs.Open(ctx, mem.New(), vcs.Config[string, mergers.Counter]{Codec: mergers.CounterCodec{}, Merge: mergers.Counters[string]()})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	total, err := addOnTwoBranches(ctx, r, func(c mergers.Counter, writer string) mergers.Counter { return c.Add(writer, 1) })
	if err != nil {
		t.Fatal(err)
	}
	if total.Value() != 2 {
		t.Errorf("1 + 1 = %d", total.Value())
	}
}

// addOnTwoBranches changes one key on two branches and merges them.
func addOnTwoBranches[V any](ctx context.Context, r *vcs.Repo[string, V], add func(v V, writer string) V) (V, error) {
	var zero V
	root, err := r.Commit(ctx, "a", vcs.ID{}, nil, vcs.CommitInfo{AllowEmpty: true})
	if err != nil {
		return zero, err
	}
	if err := r.CreateBranch(ctx, "b", root); err != nil {
		return zero, err
	}
	for _, b := range []string{"a", "b"} {
		if _, err := r.Update(ctx, b, vcs.TxOptions{CommitInfo: vcs.CommitInfo{Message: b}}, func(tx *vcs.Tx[string, V]) error {
			v, _, err := tx.Get("n")
			tx.Set("n", add(v, b))
			return err
		}); err != nil {
			return zero, err
		}
	}
	b, err := r.Head("b")
	if err != nil {
		return zero, err
	}
	if _, err := r.Merge(ctx, "a", b, vcs.MergeOptions{}); err != nil {
		return zero, err
	}
	snap, err := r.At("a")
	if err != nil {
		return zero, err
	}
	v, _, err := snap.Get("n")
	return v, err
}

// Nodes that only ever write under their own name count every addition once,
// however their branches cross.
func TestCountersConverge(t *testing.T) {
	const nodes = 4
	for seed := range uint64(40) {
		ctx := t.Context()
		rnd := rand.New(rand.NewPCG(seed, 3))
		r, err := vcs.Open(ctx, mem.New(), vcs.Config[string, mergers.Counter]{Codec: mergers.CounterCodec{}, Merge: mergers.Counters[string]()})
		if err != nil {
			t.Fatal(err)
		}
		root, err := r.Commit(ctx, "n0", vcs.ID{}, nil, vcs.CommitInfo{AllowEmpty: true})
		if err != nil {
			t.Fatal(err)
		}
		name := func(i int) string { return fmt.Sprint("n", i) }
		for i := 1; i < nodes; i++ {
			if err := r.CreateBranch(ctx, name(i), root); err != nil {
				t.Fatal(err)
			}
		}
		merge := func(into, from int) {
			head, err := r.Head(name(from))
			if err == nil {
				_, err = r.Merge(ctx, name(into), head, vcs.MergeOptions{})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		want := int64(0)
		for range 40 {
			n := rnd.IntN(nodes)
			if rnd.IntN(2) == 0 {
				merge(n, rnd.IntN(nodes))
				continue
			}
			d := int64(rnd.IntN(7) - 3)
			want += d
			if _, err := r.Update(ctx, name(n), vcs.TxOptions{}, func(tx *vcs.Tx[string, mergers.Counter]) error {
				c, _, err := tx.Get("n")
				tx.Set("n", c.Add(name(n), d))
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 { // around the ring
			for i := range nodes {
				merge((i+1)%nodes, i)
			}
		}
		for i := range nodes {
			snap, err := r.At(name(i))
			if err != nil {
				t.Fatal(err)
			}
			if c, _, err := snap.Get("n"); err != nil || c.Value() != want {
				t.Errorf("seed %d: node %d counts %d, %v, want %d", seed, i, c.Value(), err, want)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Three-way merges of mere presence diverge: why removals are values here.
func TestPresenceDiverges(t *testing.T) {
	laws := vcstest.MergeLaws[string, string]{
		Keys: []string{"a", "b"},
		Write: func(rnd *rand.Rand, _ string, current vcs.Opt[string]) vcs.Opt[string] {
			if current.Present && rnd.IntN(2) == 0 {
				return vcs.None[string]()
			}
			return vcs.Some(fmt.Sprint(rnd.IntN(3)))
		},
		Runs: 500,
	}
	laws.Config.Merge = mergers.Option(mergers.RemovalLoses, func(_ string, _ vcs.Opt[string], a, b string) (string, error) {
		return max(a, b), nil
	})
	if err := laws.Check(); !errors.Is(err, vcstest.ErrDiverged) {
		t.Errorf("%v, want divergence", err)
	}
}

package mergers_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mergers"
)

type opt = vcs.Opt[string]

var (
	none        = vcs.None[string]()
	errConflict = errors.New("conflict") // stands for any error that wraps vcs.ErrConflict
)

func some(s string) opt { return vcs.Some(s) }

// ask calls a merge function and expects a value, none or a conflict.
func ask(t *testing.T, m vcs.MergeFunc[string, string], key string, base, ours, theirs opt, want any) {
	t.Helper()
	got, err := m(key, base, ours, theirs)
	switch {
	case want == errConflict:
		if !errors.Is(err, vcs.ErrConflict) {
			t.Errorf("%s: %v, %v, %v: %v, %v, want a conflict", key, base, ours, theirs, got, err)
		}
	case err != nil || got != want:
		t.Errorf("%s: %v, %v, %v: %v, %v, want %v", key, base, ours, theirs, got, err, want)
	}
}

func longest(_ string, _ opt, a, b string) (string, error) {
	switch {
	case len(a) == len(b):
		return "", fmt.Errorf("%w: equally long", vcs.ErrConflict)
	case len(a) > len(b):
		return a, nil
	}
	return b, nil
}

func TestOption(t *testing.T) {
	for removed, want := range map[mergers.Removal]any{
		mergers.RemovalConflicts: errConflict, mergers.RemovalWins: none, mergers.RemovalLoses: some("xx"),
	} {
		m := mergers.Option(removed, longest)
		ask(t, m, "k", some("b"), some("xx"), none, want)
		ask(t, m, "k", some("b"), none, some("xx"), want)
		ask(t, m, "k", none, some("xx"), none, some("xx"))
		ask(t, m, "k", none, none, some("xx"), some("xx"))
		ask(t, m, "k", some("b"), none, none, none)
		ask(t, m, "k", some("b"), some("xx"), some("x"), some("xx"))
		ask(t, m, "k", some("b"), some("xx"), some("yy"), errConflict)
	}
}

func TestChanged(t *testing.T) {
	equal := func(a, b string) bool { return a == b }
	m := mergers.Changed(equal, mergers.Max[string](cmp.Compare[string]))
	ask(t, m, "k", some("9"), some("9"), some("1"), some("1"))
	ask(t, m, "k", some("9"), some("1"), some("9"), some("1"))
	ask(t, m, "k", some("9"), some("1"), some("1"), some("1"))
	ask(t, m, "k", some("9"), some("9"), none, none)
	ask(t, m, "k", some("9"), some("1"), some("2"), some("2"))
	ask(t, mergers.Changed[string](equal, nil), "k", some("9"), some("1"), some("2"), errConflict)
}

func TestSeqLikeAndByPath(t *testing.T) {
	larger := mergers.Max[string](cmp.Compare[string])
	strict := mergers.Option(mergers.RemovalConflicts, longest)
	seq := mergers.Seq(strict, larger)
	ask(t, seq, "k", none, some("zz"), some("a"), some("zz"))
	ask(t, seq, "k", none, some("aa"), some("zz"), some("zz"))
	ask(t, mergers.Seq(strict, mergers.Conflict), "k", none, some("aa"), some("zz"), errConflict)
	boom := errors.New("boom")
	failing := func(string, opt, opt, opt) (opt, error) { return none, boom }
	if _, err := mergers.Seq(failing, larger)("k", none, none, none); err != boom {
		t.Errorf("an error that is no conflict: %v", err)
	}

	byLength := mergers.Like(func(s string) int { return len(s) },
		func(n int) string { return fmt.Sprintf("%0*d", n, 0) }, mergers.Max[string](cmp.Compare[int]))
	ask(t, byLength, "k", none, some("00"), some("000"), some("000"))
	ask(t, byLength, "k", some("0"), none, none, none)

	m := mergers.ByPath(map[string]vcs.MergeFunc[string, string]{
		"": larger, "lan": strict, "lan/v4": larger, "lan/v4/pinned": nil, "lan/v4/10.0.0.1": strict,
	})
	a, b := some("aa"), some("bb")
	ask(t, m, "k", none, a, b, b)
	ask(t, m, "lan/x", none, a, b, errConflict)
	ask(t, m, "lan", none, a, b, errConflict)
	ask(t, m, "lan2/x", none, a, b, b)
	ask(t, m, "lan/v4/10.0.0.7", none, a, b, b)
	ask(t, m, "lan/v4/10.0.0.1", none, a, b, errConflict)
	ask(t, m, "lan/v4/pinned/x", none, a, b, errConflict)
	ask(t, mergers.ByPath(map[string]vcs.MergeFunc[string, string]{"a": larger}), "b", none, a, b, errConflict)
}

func TestMapMergesEntries(t *testing.T) {
	m := mergers.Map[string](mergers.Changed(func(a, b int) bool { return a == b }, mergers.Max[string](cmp.Compare[int])))
	base := vcs.Some(map[string]int{"kept": 1, "gone": 1, "changed": 1, "both": 1})
	got, err := m("k", base, map[string]int{"kept": 1, "changed": 5, "both": 3}, map[string]int{"kept": 1, "gone": 1, "changed": 1, "both": 2, "new": 7})
	if want := (map[string]int{"kept": 1, "changed": 5, "both": 3, "new": 7}); err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	strict := mergers.Map[string](mergers.Conflict[string, int])
	for _, side := range []int{0, 1} {
		maps := [2]map[string]int{{}, {}}
		maps[side]["x"] = 1
		if _, err := strict("k", base, maps[0], maps[1]); !errors.Is(err, vcs.ErrConflict) {
			t.Errorf("side %d: %v", side, err)
		}
	}
}

func TestStructReportsAPartsConflict(t *testing.T) {
	type pair struct{ A, B int }
	m := mergers.Struct(
		mergers.Field(func(p *pair) *int { return &p.A }, mergers.Max[string](cmp.Compare[int])),
		mergers.Field(func(p *pair) *int { return &p.B }, mergers.Changed(func(a, b int) bool { return a == b }, vcs.MergeFunc[string, int](nil))),
	)
	got, err := m("k", vcs.Some(pair{1, 1}), pair{2, 1}, pair{3, 9})
	if err != nil || got != (pair{3, 9}) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := m("k", vcs.Some(pair{1, 1}), pair{2, 5}, pair{3, 9}); !errors.Is(err, vcs.ErrConflict) {
		t.Errorf("%v", err)
	}
}

func TestSet(t *testing.T) {
	var empty mergers.Set
	a := empty.Add("x", "y").Remove("z")
	if got := slices.Collect(a.All()); !slices.Equal(got, []string{"x", "y"}) || a.Len() != 2 || len(empty) != 0 {
		t.Errorf("%v", got)
	}
	// A removal holds against the addition that it saw, not against a later one.
	removed, again := a.Remove("x"), a.Remove("x").Add("x")
	if s := mergers.JoinSets(removed, a); s.Has("x") {
		t.Error("the removal was lost")
	}
	if s := mergers.JoinSets(removed, again); !s.Has("x") {
		t.Error("the second addition was lost")
	}
	if s := mergers.JoinSets(nil, a); s.Len() != 2 {
		t.Error("join with nothing")
	}
	if s := a.Add("x"); s["x"] != 1 {
		t.Error("adding what is there is a change")
	}
}

func TestCounter(t *testing.T) {
	var zero mergers.Counter
	c := zero.Add("a", 5).Add("a", -7).Add("b", math.MinInt64).Add("b", math.MaxInt64)
	if c.Value() != -3 || len(zero) != 0 {
		t.Errorf("%v = %d", c, c.Value())
	}
	full := mergers.Counter{"a": {Up: math.MaxUint64 - 1}}.Add("a", 7)
	if full["a"].Up != math.MaxUint64 {
		t.Errorf("overflow: %v", full)
	}
}

func TestRegister(t *testing.T) {
	now := time.UnixMilli(1000)
	var r mergers.Register[string]
	if _, ok := r.Get(); ok {
		t.Error("the zero register has a value")
	}
	r = r.Write(now, "n1", "v")
	if v, ok := r.Get(); !ok || v != "v" || r.Clock != 1000 {
		t.Errorf("%+v", r)
	}
	late := r.Write(now.Add(-time.Hour), "n2", "w")
	if late.Clock != 1001 {
		t.Errorf("a clock that runs behind writes %d over 1000", late.Clock)
	}
	gone := late.Remove(now, "n1")
	if _, ok := gone.Get(); ok || gone.Clock != 1002 {
		t.Errorf("%+v", gone)
	}
}

func TestCodecsRefuse(t *testing.T) {
	reg := mergers.RegisterCodec[string]{Value: vcs.Raw[string]{}}
	for _, text := range []string{"", "\n", "1\n", "1 \n", "0 n\n", "-1 n\n", "01 n\n", "9223372036854775808 n\n", "1 n removed\nx", "1 a b\n", "1 n", "1  removed\n"} {
		if _, err := reg.Decode([]byte(text)); err == nil {
			t.Errorf("register %q is taken", text)
		}
	}
	for _, text := range []string{"a +1 -2", "a +1\n", "a 1 2\n", " +1 -2\n", "a +01 -2\n", "a +1 --2\n", "b +1 -0\na +1 -0\n", "a +1 -0\na +1 -0\n", "a  +1 -2\n", "a +18446744073709551616 -0\n"} {
		if _, err := (mergers.CounterCodec{}).Decode([]byte(text)); err == nil {
			t.Errorf("counter %q is taken", text)
		}
	}
	for _, text := range []string{"1", "1\n", "1 \n", "0 x\n", "01 x\n", "x 1\n", "1 b\n1 a\n", "1 a\n2 a\n", "1 a", "1  a\n", "1 a \n"} {
		if _, err := (mergers.SetCodec{}).Decode([]byte(text)); err == nil {
			t.Errorf("set %q is taken", text)
		}
	}
	for _, bad := range []string{"", " x", "x ", "a\nb", "a\rb", "a\x00"} {
		if _, err := (mergers.SetCodec{}).Encode(mergers.Set{bad: 1}); err == nil {
			t.Errorf("element %q is written", bad)
		}
		if _, err := (mergers.CounterCodec{}).Encode(mergers.Counter{bad: {}}); err == nil {
			t.Errorf("counter's writer %q is written", bad)
		}
		if _, err := reg.Encode(mergers.Register[string]{Clock: 1, Writer: bad}); err == nil {
			t.Errorf("register's writer %q is written", bad)
		}
	}
	if _, err := reg.Encode(mergers.Register[string]{Writer: "n"}); err == nil {
		t.Error("a zero register is written")
	}
}

// Whatever a codec takes it writes again, byte for byte: equal values have equal
// files.
func FuzzCodecs(f *testing.F) {
	f.Add([]byte("a +1 -2\nb +3 -0\n"))
	f.Add([]byte("1 a\n2 b c\n"))
	f.Add([]byte("1700000000000 n1\nvalue\n"))
	f.Add([]byte("1 n1 removed\n"))
	reg := mergers.RegisterCodec[string]{Value: vcs.Raw[string]{}}
	f.Fuzz(func(t *testing.T, b []byte) {
		again(t, mergers.CounterCodec{}, b)
		again(t, mergers.SetCodec{}, b)
		again(t, reg, b)
	})
}

func again[V any](t *testing.T, c vcs.Codec[V], b []byte) {
	v, err := c.Decode(b)
	if err != nil {
		return
	}
	if out, err := c.Encode(v); err != nil || !bytes.Equal(out, b) {
		t.Errorf("%T: %q becomes %q, %v", c, b, out, err)
	}
}

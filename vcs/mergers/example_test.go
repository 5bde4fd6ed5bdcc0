package mergers_test

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/mergers"
)

// Two nodes count on branches of their own; merged, nothing is lost and nothing
// counted twice.
func ExampleCounter() {
	ctx := context.Background()
	repo, err := vcs.Open(ctx, mem.New(), vcs.Config[string, mergers.Counter]{
		Codec: mergers.CounterCodec{},
		Merge: mergers.Counters[string](),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer repo.Close()
	total, err := addOnTwoBranches(ctx, repo, func(c mergers.Counter, node string) mergers.Counter { return c.Add(node, 2) })
	if err != nil {
		log.Fatal(err)
	}
	text, _ := mergers.CounterCodec{}.Encode(total)
	fmt.Printf("%d\n%s", total.Value(), text)
	// Output:
	// 4
	// a +2 -0
	// b +2 -0
}

// A removal holds against the additions that it saw.
func ExampleSet() {
	var s mergers.Set
	s = s.Add("10.0.0.7", "10.0.0.8")
	ours := s.Remove("10.0.0.7")
	theirs := s.Add("10.0.0.9")
	for elem := range mergers.JoinSets(ours, theirs).All() {
		fmt.Println(elem)
	}
	// Output:
	// 10.0.0.8
	// 10.0.0.9
}

// A writer whose clock is an hour late still wins over what it saw.
func ExampleRegister() {
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	var r mergers.Register[string]
	r = r.Write(noon, "n1", "first")
	r = r.Write(noon.Add(-time.Hour), "n2", "second")
	v, ok := r.Get()
	fmt.Println(v, ok, r.Clock-noon.UnixMilli())
	// Output: second true 1
}

func ExampleByPath() {
	merge := mergers.ByPath(map[string]vcs.MergeFunc[string, string]{
		"":       mergers.Max[string](cmp.Compare[string]),
		"config": mergers.Conflict[string, string],
	})
	v, err := merge("lan/10.0.0.7", vcs.None[string](), vcs.Some("a"), vcs.Some("b"))
	fmt.Println(v.Value, err)
	_, err = merge("config/dns", vcs.None[string](), vcs.Some("a"), vcs.Some("b"))
	fmt.Println(err)
	// Output:
	// b <nil>
	// vcs: merge conflict
}

func ExampleStruct() {
	type lease struct {
		Until int
		Names map[string]int
	}
	greater := mergers.Max[string](cmp.Compare[int])
	names := mergers.Map[string](greater)
	merge := mergers.Option(mergers.RemovalLoses, mergers.Struct(
		mergers.Field(func(l *lease) *int { return &l.Until }, greater),
		mergers.Field(func(l *lease) *map[string]int { return &l.Names }, mergers.Option(mergers.RemovalLoses, names)),
	))
	v, err := merge("10.0.0.7", vcs.None[lease](),
		vcs.Some(lease{100, map[string]int{"printer": 1}}), vcs.Some(lease{90, map[string]int{"scanner": 2}}))
	fmt.Println(v.Value, err)
	// Output: {100 map[printer:1 scanner:2]} <nil>
}

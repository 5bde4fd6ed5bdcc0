package vcstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"arpeggio/vcs"
)

// testDropReopen moves a window over a log, as epochs do.
func testDropReopen(t *testing.T, open func(t *testing.T, closed vcs.Backend) vcs.Backend) {
	b := open(t, nil)
	if k, ok := b.(vcs.LogKeeper); !ok || !k.KeepsLog() {
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		return // there are no records to drop
	}
	var m model
	for i := range 40 {
		batch := &vcs.Batch{Log: [][]byte{bytes.Repeat([]byte{byte(i)}, vcs.MaxRecord), {}, fmt.Appendf(nil, "record %d", i)}}
		if i%5 == 4 {
			batch.Drop = len(m.log) / 2
		}
		if i%3 == 2 {
			batch.Fold = 2
		}
		m.apply(t, b, batch)
		if i%4 != 0 {
			continue
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		b = open(t, b)
		want(t, b, m)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

func testLog(t *testing.T, b vcs.Backend) {
	var m model
	for i := range 12 {
		m.apply(t, b, randomBatch(&m, i))
		want(t, b, m)
	}
	m.apply(t, b, &vcs.Batch{Checkpoint: []byte{}})
	want(t, b, m)
	m.apply(t, b, &vcs.Batch{Log: [][]byte{bytes.Repeat([]byte("r"), vcs.MaxRecord)}})
	want(t, b, m)
}

// testFold puts records in the place of others. It concerns backends that keep
// the log; for others there is nothing to do.
func testFold(t *testing.T, b vcs.Backend) {
	if k, ok := b.(vcs.LogKeeper); !ok || !k.KeepsLog() {
		return
	}
	var m model
	record := func(n int) []byte { return fmt.Appendf(nil, "record %d", n) }
	for round := range 4 {
		for i := range 70 {
			m.apply(t, b, &vcs.Batch{Log: [][]byte{record(i)}})
		}
		m.apply(t, b, &vcs.Batch{Fold: 64 + round, Log: [][]byte{bytes.Repeat([]byte{byte(round)}, vcs.MaxRecord), record(70)}})
		want(t, b, m)
		m.apply(t, b, &vcs.Batch{Fold: 1, Log: [][]byte{record(71), record(72), record(73)}})
		want(t, b, m)
	}
	x := blob("x").ID
	before := m
	err := b.Apply(context.Background(), &vcs.Batch{Fold: 2, Log: [][]byte{record(1)},
		Refs: []vcs.RefUpdate{{Name: "refs/heads/a", Old: x, New: x}}})
	if !errors.Is(err, vcs.ErrRefMoved) {
		t.Errorf("stale update: %v, want ErrRefMoved", err)
	}
	want(t, b, before)
	if err := b.Apply(context.Background(), &vcs.Batch{Fold: len(m.log) + 1}); err == nil {
		t.Error("folded more records than there are")
	}
	want(t, b, before)
	m.apply(t, b, &vcs.Batch{Checkpoint: []byte("c"), Log: [][]byte{record(1)}})
	m.apply(t, b, &vcs.Batch{Fold: 1})
	want(t, b, m)
}

// testDrop lets the oldest records go, alone and with all else that a batch can
// hold. It concerns backends that keep the log.
func testDrop(t *testing.T, b vcs.Backend) {
	if k, ok := b.(vcs.LogKeeper); !ok || !k.KeepsLog() {
		return
	}
	var m model
	record := func(n int) []byte { return fmt.Appendf(nil, "record %d", n) }
	for i := range 30 {
		m.apply(t, b, &vcs.Batch{Log: [][]byte{record(i), record(-i)}})
	}
	m.apply(t, b, &vcs.Batch{Drop: 7})
	want(t, b, m)
	m.apply(t, b, &vcs.Batch{Drop: 1, Log: [][]byte{record(60)}})
	m.apply(t, b, &vcs.Batch{Fold: 4, Drop: 3, Log: [][]byte{record(61)}})
	want(t, b, m)
	x, y := blob("x").ID, blob("y").ID
	m.apply(t, b, &vcs.Batch{Drop: 2, Log: [][]byte{record(62)}, Refs: []vcs.RefUpdate{{Name: "refs/heads/a", New: x}}})
	want(t, b, m)
	err := b.Apply(context.Background(), &vcs.Batch{Drop: 2, Refs: []vcs.RefUpdate{{Name: "refs/heads/a", New: y}}})
	if !errors.Is(err, vcs.ErrRefMoved) {
		t.Errorf("stale update: %v, want ErrRefMoved", err)
	}
	for _, bad := range []vcs.Batch{
		{Drop: len(m.log) + 1},
		{Drop: len(m.log), Fold: 1},
		{Drop: 1, Fold: len(m.log)},
		{Drop: -1},
		{Fold: -1},
		{Drop: 1, Checkpoint: []byte("c")},
		{Fold: 1, Checkpoint: []byte("c")},
	} {
		if err := b.Apply(context.Background(), &bad); err == nil {
			t.Errorf("a log of %d records took Drop %d and Fold %d, checkpoint %t", len(m.log), bad.Drop, bad.Fold, bad.Checkpoint != nil)
		}
		want(t, b, m)
	}
	m.apply(t, b, &vcs.Batch{Drop: len(m.log) - 5, Fold: 5})
	want(t, b, m)
	m.apply(t, b, &vcs.Batch{Log: [][]byte{record(63)}})
	m.apply(t, b, &vcs.Batch{Drop: 1})
	want(t, b, m)
	m.apply(t, b, &vcs.Batch{Checkpoint: []byte("c"), Log: [][]byte{record(64), record(65)}})
	m.apply(t, b, &vcs.Batch{Drop: 1, Log: [][]byte{record(66)}})
	want(t, b, m)
}

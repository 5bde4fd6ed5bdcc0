package mergers

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"arpeggio/vcs"
)

// Tally is what one writer has added to and taken from a counter, in total.
type Tally struct{ Up, Down uint64 }

// Counter is a number that many writers change at a time. It remembers a tally
// for each writer, because a plain number cannot tell two writers who both added
// one from one change that reached it twice: Git merges equal contents without
// asking. (Plain sums also go wrong where histories cross.)
//
// A writer's name must be used on one line of history at a time: a node's name
// does, when each node writes on a branch of its own.
//
// Its file has a line for each writer, `NAME +UP -DOWN`, sorted by name.
type Counter map[string]Tally

// Add returns the counter after a writer has added n, which may be negative.
// Beyond what a Tally holds it stops counting. The receiver is not changed.
func (c Counter) Add(writer string, n int64) Counter {
	c = maps.Clone(c)
	if c == nil {
		c = Counter{}
	}
	t := c[writer]
	if n >= 0 {
		t.Up = addCapped(t.Up, uint64(n))
	} else {
		t.Down = addCapped(t.Down, -uint64(n))
	}
	c[writer] = t
	return c
}

func addCapped(a, b uint64) uint64 {
	if a+b < a {
		return math.MaxUint64
	}
	return a + b
}

// Value returns the sum, modulo 2^64.
func (c Counter) Value() int64 {
	var sum uint64
	for _, t := range c {
		sum += t.Up - t.Down
	}
	return int64(sum)
}

// JoinCounters takes each writer's furthest tally.
func JoinCounters(a, b Counter) Counter {
	out := maps.Clone(a)
	if out == nil {
		out = Counter{}
	}
	for w, t := range b {
		have := out[w]
		out[w] = Tally{max(have.Up, t.Up), max(have.Down, t.Down)}
	}
	return out
}

// Counters is the merge function of counters.
func Counters[K comparable]() vcs.MergeFunc[K, Counter] { return Join[K](JoinCounters) }

// CounterCodec is the Codec of counters.
type CounterCodec struct{}

// Encode implements vcs.Codec. It refuses a writer's name that does not fit on
// one line or that ends in a space.
func (CounterCodec) Encode(c Counter) ([]byte, error) {
	var b []byte
	for _, w := range slices.Sorted(maps.Keys(c)) {
		if err := checkLine(w); err != nil {
			return nil, fmt.Errorf("writer's name: %w", err)
		}
		b = fmt.Appendf(b, "%s +%d -%d\n", w, c[w].Up, c[w].Down)
	}
	return b, nil
}

// Decode implements vcs.Codec. It takes exactly what Encode writes.
func (CounterCodec) Decode(b []byte) (Counter, error) {
	c := Counter{}
	err := eachLine(b, func(line string) (key string, err error) {
		rest, down, ok := cutLast(line, " -")
		name, up, ok2 := cutLast(rest, " +")
		if !ok || !ok2 {
			return "", fmt.Errorf("want `NAME +UP -DOWN`")
		}
		var t Tally
		if t.Up, err = parseUint(up); err != nil {
			return "", err
		}
		if t.Down, err = parseUint(down); err != nil {
			return "", err
		}
		c[name] = t
		return name, checkLine(name)
	})
	return c, err
}

// checkLine refuses what cannot stand on a line of its own.
func checkLine(s string) error {
	if s == "" || strings.ContainsAny(s, "\n\r\x00") || strings.HasPrefix(s, " ") || strings.HasSuffix(s, " ") {
		return fmt.Errorf("%q cannot stand on a line: use text without newlines and outer spaces", s)
	}
	return nil
}

// eachLine reads lines in strictly ascending order of their keys.
func eachLine(b []byte, read func(line string) (key string, err error)) error {
	last, n := "", 0
	for text := string(b); text != ""; {
		line, rest, ok := strings.Cut(text, "\n")
		n++
		if !ok {
			return fmt.Errorf("line %d does not end", n)
		}
		key, err := read(line)
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if n > 1 && key <= last {
			return fmt.Errorf("line %d: %.80q is out of order", n, key)
		}
		last, text = key, rest
	}
	return nil
}

// parseUint reads a decimal number as strconv.FormatUint writes it.
func parseUint(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err == nil && strconv.FormatUint(n, 10) != s {
		err = fmt.Errorf("number %.30q is not in its shortest form", s)
	}
	return n, err
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

package mergers

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"arpeggio/vcs"
)

// Register is a value of which the last writer's wins. Last is by Clock, which
// never falls behind what the writer saw, however wrong the writer's own clock
// is (a hybrid logical clock); then by the writer's name. A removal is a write.
//
// Its file has a line `CLOCK WRITER`, or `CLOCK WRITER removed`, before the
// value.
type Register[V any] struct {
	Clock   int64  // Unix milliseconds, or one more than the Clock that was replaced
	Writer  string // one word
	Removed bool
	Value   V // zero when removed
}

// Get returns the value; ok is false when it was removed or never written.
func (r Register[V]) Get() (v V, ok bool) {
	if r.Clock == 0 || r.Removed {
		return v, false
	}
	return r.Value, true
}

// Write returns the register that replaces r, which may be zero.
func (r Register[V]) Write(now time.Time, writer string, v V) Register[V] {
	return Register[V]{Clock: r.next(now), Writer: writer, Value: v}
}

// Remove returns the register that replaces r by nothing.
func (r Register[V]) Remove(now time.Time, writer string) Register[V] {
	return Register[V]{Clock: r.next(now), Writer: writer, Removed: true}
}

func (r Register[V]) next(now time.Time) int64 { return max(now.UnixMilli(), r.Clock+1, 1) }

// RegisterCodec is the Codec of registers of values that Value writes.
type RegisterCodec[V any] struct{ Value vcs.Codec[V] }

// Encode implements vcs.Codec. It refuses a zero register and a writer whose
// name is not one word.
func (c RegisterCodec[V]) Encode(r Register[V]) ([]byte, error) {
	switch {
	case r.Clock <= 0:
		return nil, fmt.Errorf("register with clock %d: use Write or Remove to make one", r.Clock)
	case r.Writer == "" || strings.ContainsAny(r.Writer, " \n\r\x00"):
		return nil, fmt.Errorf("writer's name %q is not one word", r.Writer)
	}
	b := append(strconv.AppendInt(nil, r.Clock, 10), ' ')
	b = append(b, r.Writer...)
	if r.Removed {
		return append(b, " removed\n"...), nil
	}
	v, err := c.Value.Encode(r.Value)
	return append(append(b, '\n'), v...), err
}

// Decode implements vcs.Codec.
func (c RegisterCodec[V]) Decode(b []byte) (r Register[V], err error) {
	line, value, ok := bytes.Cut(b, []byte("\n"))
	clock, writer, ok2 := strings.Cut(string(line), " ")
	if !ok || !ok2 {
		return r, errors.New("want a line `CLOCK WRITER` before the value")
	}
	n, err := parseUint(clock)
	if err != nil || int64(n) <= 0 {
		return r, fmt.Errorf("bad clock %.30q", clock)
	}
	r.Clock = int64(n)
	r.Writer, r.Removed = strings.CutSuffix(writer, " removed")
	switch {
	case r.Writer == "" || strings.ContainsAny(r.Writer, " \r\x00"):
		return r, fmt.Errorf("writer's name %.80q is not one word", r.Writer)
	case r.Removed && len(value) > 0:
		return r, errors.New("a removed register with a value")
	case !r.Removed:
		r.Value, err = c.Value.Decode(value)
	}
	return r, err
}

// Registers is the merge function of registers with that codec, which decides
// between different values of one writer and clock: those of a writer that wrote
// on two branches at a time.
func Registers[K comparable, V any](codec RegisterCodec[V]) vcs.MergeFunc[K, Register[V]] {
	return Max[K](func(a, b Register[V]) int {
		if c := cmp.Or(cmp.Compare(a.Clock, b.Clock), strings.Compare(a.Writer, b.Writer)); c != 0 {
			return c
		}
		x, _ := codec.Encode(a) // one that cannot be written is below the others
		y, _ := codec.Encode(b)
		return bytes.Compare(x, y)
	})
}

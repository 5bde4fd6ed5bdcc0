package bench

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"arpeggio/vcs"
)

// workload is a neighbour table of which one entry a second changes, each
// change a commit: the MAC address moves every eighth time. All sides make the
// same trees and commits of it, so that their ids must be equal.
type workload struct {
	rnd     *rand.Rand
	entries []entry
	now     int64
}

type entry struct {
	mac  uint64
	seq  uint32
	when int64
}

const (
	firstSecond = 1_792_000_000
	firstAddr   = 10 << 24
	authorName  = "arpeggio r1"
	authorEmail = "r1@arp"
	branch      = "primary"
)

func newWorkload(n int) *workload {
	w := &workload{rnd: rand.New(rand.NewPCG(42, 7)), entries: make([]entry, n), now: firstSecond}
	for i := range w.entries {
		w.entries[i] = entry{mac: w.rnd.Uint64() >> 16, when: firstSecond}
	}
	return w
}

// next changes an entry and returns its number.
func (w *workload) next() int {
	i := w.rnd.IntN(len(w.entries))
	w.now++
	e := &w.entries[i]
	e.seq++
	e.when = w.now
	if e.seq%8 == 0 {
		e.mac = w.rnd.Uint64() >> 16
	}
	return i
}

// appendValue appends an entry's file, about a hundred bytes.
func (w *workload) appendValue(b []byte, i int) []byte {
	e := &w.entries[i]
	b = append(b, "state reachable\nmac "...)
	b = appendMAC(b, e.mac)
	b = append(b, "\nexpires "...)
	b = strconv.AppendInt(b, e.when+1200, 10)
	b = append(b, "\nlearned "...)
	b = strconv.AppendInt(b, e.when, 10)
	b = append(b, " reply eth0\nnode r1\nrev "...)
	b = strconv.AppendInt(b, int64(e.seq), 10)
	return append(b, '\n')
}

func (w *workload) value(i int) string { return string(w.appendValue(make([]byte, 0, 128), i)) }

// subject is the message of the commit that changes an entry.
func (w *workload) subject(i int) string {
	b := append(make([]byte, 0, 64), "arp: "...)
	b = appendAddr(b, addr(i))
	b = append(b, " -> "...)
	return string(appendMAC(b, w.entries[i].mac))
}

func (w *workload) change(i int) vcs.Change[uint32, string] {
	return vcs.Change[uint32, string]{Key: addr(i), Value: vcs.Some(w.value(i))}
}

// all sets every entry.
func (w *workload) all() []vcs.Change[uint32, string] {
	all := make([]vcs.Change[uint32, string], len(w.entries))
	for i := range all {
		all[i] = w.change(i)
	}
	return all
}

func (w *workload) info(i int) vcs.CommitInfo {
	return vcs.CommitInfo{Message: w.subject(i), Time: time.Unix(w.now, 0)}
}

func addr(i int) uint32 { return firstAddr + uint32(i) }

func appendMAC(b []byte, m uint64) []byte {
	const digits = "0123456789abcdef"
	for k := 40; k >= 0; k -= 8 {
		b = append(b, digits[m>>k>>4&15], digits[m>>k&15], ':')
	}
	return b[:len(b)-1]
}

func appendAddr(b []byte, a uint32) []byte {
	for k := 24; k >= 0; k -= 8 {
		n := byte(a >> k)
		if n >= 100 {
			b = append(b, '0'+n/100)
		}
		if n >= 10 {
			b = append(b, '0'+n/10%10)
		}
		b = append(b, '0'+n%10, '.')
	}
	return b[:len(b)-1]
}

// prefixes is the layout of nested prefixes:
// 10.0.0.0_16/10.0.0.0_20/10.0.3.0_24/10.0.3.64_28/10.0.3.67.
type prefixes struct{}

func (prefixes) Path(a uint32) string {
	b := make([]byte, 0, 80)
	for bits := uint32(16); bits <= 28; bits += 4 {
		b = appendAddr(b, a&^(1<<(32-bits)-1))
		b = append(strconv.AppendUint(append(b, '_'), uint64(bits), 10), '/')
	}
	return string(appendAddr(b, a))
}

func (prefixes) Key(path string) (uint32, bool) {
	parts := strings.Split(path[strings.LastIndexByte(path, '/')+1:], ".")
	a := uint32(0)
	for _, p := range parts {
		n, err := strconv.ParseUint(p, 10, 8)
		if err != nil {
			return 0, false
		}
		a = a<<8 | uint32(n)
	}
	return a, len(parts) == 4 && path == prefixes{}.Path(a)
}

// pathTable is prefixes with paths that were made before: go-git's side has its
// own at hand, too, and fast-import's are in a stream that was written before.
type pathTable []string

func newPathTable(n int) pathTable {
	t := make(pathTable, n)
	for i := range t {
		t[i] = prefixes{}.Path(addr(i))
	}
	return t
}

func (t pathTable) Path(a uint32) string { return t[a-firstAddr] }

func (t pathTable) Key(path string) (uint32, bool) {
	a, ok := prefixes{}.Key(path)
	return a, ok && int(a-firstAddr) < len(t)
}

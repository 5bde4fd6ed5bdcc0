package history

import "bytes"

// splitLines cuts a file into lines that keep their ends.
func splitLines(b []byte) [][]byte {
	var lines [][]byte
	for line := range bytes.Lines(b) {
		lines = append(lines, line)
	}
	return lines
}

// comparison marks the lines in which two files differ: the lines that are not
// marked are equal, one by one.
type comparison struct {
	removed, added []bool
}

// compareLines finds a shortest edit script between two files with the
// algorithm of Myers (1986), in linear space, and moves each block of changes as
// far down as it goes, as git does.
func compareLines(a, b [][]byte) comparison {
	number := make(map[string]int, len(a))
	intern := func(lines [][]byte) []int {
		out := make([]int, len(lines))
		for i, l := range lines {
			n, ok := number[string(l)]
			if !ok {
				n = len(number)
				number[string(l)] = n
			}
			out[i] = n
		}
		return out
	}
	x, y := intern(a), intern(b)
	m := myers{a: x, b: y, c: comparison{make([]bool, len(a)), make([]bool, len(b))}}
	size := 2*(len(a)+len(b)) + 3
	m.down, m.up = make([]int, size), make([]int, size)
	m.compare(0, len(x), 0, len(y))
	slide(m.c.removed, x)
	slide(m.c.added, y)
	return m.c
}

// pairs calls same for each pair of equal lines.
func (c comparison) pairs(same func(i, j int)) {
	for i, j := 0, 0; i < len(c.removed) || j < len(c.added); {
		switch {
		case i < len(c.removed) && c.removed[i]:
			i++
		case j < len(c.added) && c.added[j]:
			j++
		default:
			same(i, j)
			i++
			j++
		}
	}
}

type myers struct {
	a, b     []int
	c        comparison
	down, up []int // furthest x on each diagonal
}

// compare marks the differences of a[a0:a1] and b[b0:b1].
func (m *myers) compare(a0, a1, b0, b1 int) {
	for a0 < a1 && b0 < b1 && m.a[a0] == m.b[b0] {
		a0++
		b0++
	}
	for a0 < a1 && b0 < b1 && m.a[a1-1] == m.b[b1-1] {
		a1--
		b1--
	}
	switch {
	case a0 == a1:
		for j := b0; j < b1; j++ {
			m.c.added[j] = true
		}
	case b0 == b1:
		for i := a0; i < a1; i++ {
			m.c.removed[i] = true
		}
	default:
		x, y := m.middle(a0, a1, b0, b1)
		m.compare(a0, x, b0, y)
		m.compare(x, a1, y, b1)
	}
}

// middle returns a point on a shortest path, found where the search from the
// front and the one from the back meet.
func (m *myers) middle(a0, a1, b0, b1 int) (int, int) {
	n, o := a1-a0, b1-b0
	delta, off := n-o, n+o+1 // diagonals are x-y, from the front
	m.down[off+1], m.up[off+1] = 0, 0
	for d := 0; ; d++ {
		for k := -d; k <= d; k += 2 {
			x := m.down[off+k-1] + 1
			if k == -d || k != d && m.down[off+k-1] < m.down[off+k+1] {
				x = m.down[off+k+1]
			}
			for y := x - k; x < n && y < o && x >= 0 && y >= 0 && m.a[a0+x] == m.b[b0+y]; y++ {
				x++
			}
			m.down[off+k] = x
			// The back's diagonal k' is delta-k.
			if back := delta - k; delta&1 != 0 && back >= -(d-1) && back <= d-1 && x+m.up[off+back] >= n {
				return clamp(a0+x, a0, a1), clamp(b0+x-k, b0, b1)
			}
		}
		for k := -d; k <= d; k += 2 {
			x := m.up[off+k-1] + 1
			if k == -d || k != d && m.up[off+k-1] < m.up[off+k+1] {
				x = m.up[off+k+1]
			}
			for y := x - k; x < n && y < o && x >= 0 && y >= 0 && m.a[a1-1-x] == m.b[b1-1-y]; y++ {
				x++
			}
			m.up[off+k] = x
			if front := delta - k; delta&1 == 0 && front >= -d && front <= d && x+m.down[off+front] >= n {
				return clamp(a1-x, a0, a1), clamp(b1-(x-k), b0, b1)
			}
		}
	}
}

func clamp(v, low, high int) int { return min(max(v, low), high) }

// slide moves each block of marked lines down while the line after it equals
// its first one, joining blocks that meet.
func slide(marked []bool, lines []int) {
	for i := 0; i < len(marked); i++ {
		if !marked[i] {
			continue
		}
		end := i
		for end < len(marked) && marked[end] {
			end++
		}
		start := i
		for end < len(marked) && lines[start] == lines[end] {
			marked[start], marked[end] = false, true
			start++
			for end < len(marked) && marked[end] {
				end++
			}
		}
		i = end
	}
}

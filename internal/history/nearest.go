package history

import (
	"slices"
	"strings"
)

// maxNear bounds how many alternatives an error names.
const maxNear = 3

// names returns what branches and tags may be called.
func (r *Resolver) names() (names []string) {
	refs, _ := r.Store.Refs() // a Store's own list cannot fail
	for _, ref := range refs {
		names = append(names, ShortRef(ref.Name))
	}
	return names
}

// ShortRef returns the name under which people know a ref.
func ShortRef(ref string) string {
	for _, prefix := range []string{"refs/heads/", "refs/tags/", "refs/remotes/"} {
		if name, ok := strings.CutPrefix(ref, prefix); ok {
			return name
		}
	}
	return ref
}

// nearest returns the names that a person may have meant, best first; all of
// them when there are few.
func nearest(name string, names []string) []string {
	names = slices.Clone(names)
	slices.SortStableFunc(names, func(a, b string) int { return distance(name, a) - distance(name, b) })
	if len(names) <= maxNear {
		return names
	}
	limit := max(len(name)/2, 2)
	n := 1
	for n < maxNear && distance(name, names[n]) <= limit {
		n++
	}
	return names[:n]
}

// distance is how many letters must be changed, added or dropped to make b of
// a; less where one begins with the other.
func distance(a, b string) int {
	if a != "" && (strings.HasPrefix(b, a) || strings.HasSuffix(b, "/"+a)) {
		return 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

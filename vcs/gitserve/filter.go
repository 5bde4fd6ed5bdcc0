package gitserve

import (
	"strconv"
	"strings"
)

// filterKind is a kind of partial clone (git-rev-list(1), --filter).
type filterKind uint8

const (
	filterNone      filterKind = iota
	filterBlobNone             // blob:none
	filterBlobLimit            // blob:limit=N: only blobs under N bytes
)

type filterSpec struct {
	kind  filterKind
	limit int64 // bytes, for filterBlobLimit
}

// parseFilter reads a filter as clients expand it.
func parseFilter(s string) (filterSpec, error) {
	if s == "blob:none" {
		return filterSpec{kind: filterBlobNone}, nil
	}
	if v, ok := strings.CutPrefix(s, "blob:limit="); ok {
		if n, ok := parseSize(v); ok {
			return filterSpec{kind: filterBlobLimit, limit: n}, nil
		}
	}
	return filterSpec{}, refuse(reasonFilter, "filter '%s' not supported: this server knows blob:none and blob:limit=<n>", s)
}

// parseSize reads Git's byte counts: a number and k, m or g.
func parseSize(s string) (int64, bool) {
	shift := 0
	if n := len(s); n > 0 {
		switch s[n-1] {
		case 'k', 'K':
			shift = 10
		case 'm', 'M':
			shift = 20
		case 'g', 'G':
			shift = 30
		}
		if shift > 0 {
			s = s[:n-1]
		}
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 0 {
		return 0, false
	}
	return n << shift, true
}

package keep

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Size is a number of octets as a flag: a number with K, M, G or T for powers of
// 1024, with or without "iB" or "B" behind it.
type Size int64

var units = []struct {
	name string
	size int64
}{{"T", 1 << 40}, {"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(text []byte) error {
	t := strings.ToUpper(strings.TrimSpace(string(text)))
	unit := int64(1)
	t = strings.TrimSuffix(t, "B")
	t = strings.TrimSuffix(t, "I")
	for _, u := range units {
		if rest, ok := strings.CutSuffix(t, u.name); ok {
			t, unit = rest, u.size
			break
		}
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(t), 64)
	if err != nil || v < 0 || math.IsNaN(v) || v*float64(unit) >= math.MaxInt64 {
		return fmt.Errorf("%q is no size: write a number of octets, or one with K, M or G, such as 64M", text)
	}
	*s = Size(v * float64(unit))
	return nil
}

// String writes a size with at most one decimal, such as 64 MiB.
func (s Size) String() string {
	for _, u := range units {
		if int64(s) >= u.size {
			t := strconv.FormatFloat(float64(s)/float64(u.size), 'f', 1, 64)
			return strings.TrimSuffix(t, ".0") + " " + u.name + "iB"
		}
	}
	return strconv.FormatInt(int64(s), 10) + " B"
}

// Age is a length of time as a flag: what time.ParseDuration reads, or a number
// of days (d), weeks (w) or years of 365 days (y).
type Age time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Age) UnmarshalText(text []byte) error {
	t := strings.TrimSpace(string(text))
	for suffix, unit := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour, "y": 365 * 24 * time.Hour} {
		n, ok := strings.CutSuffix(t, suffix)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(n, 64)
		if err != nil || v < 0 || math.IsNaN(v) || v*float64(unit) >= math.MaxInt64 {
			return badAge(text)
		}
		*a = Age(v * float64(unit))
		return nil
	}
	d, err := time.ParseDuration(t)
	if err != nil || d < 0 {
		return badAge(text)
	}
	*a = Age(d)
	return nil
}

func badAge(text []byte) error {
	return fmt.Errorf("%q is no length of time: write one such as 12h, 30d or 2w", text)
}

// String writes whole days as days and the rest as time.Duration does.
func (a Age) String() string {
	if d := time.Duration(a); d < 24*time.Hour || d%(24*time.Hour) != 0 {
		return d.String()
	}
	return strconv.FormatInt(int64(a)/int64(24*time.Hour), 10) + "d"
}

package keep

import (
	"testing"
	"time"
)

func TestSize(t *testing.T) {
	for in, want := range map[string]Size{
		"0": 0, "512": 512, "1k": 1 << 10, "64M": 64 << 20, "64 MiB": 64 << 20, "1.5G": 3 << 29, "2TB": 2 << 40, " 7B ": 7,
	} {
		var s Size
		if err := s.UnmarshalText([]byte(in)); err != nil || s != want {
			t.Errorf("%q: %d, %v; want %d", in, s, err, want)
		}
	}
	for _, in := range []string{"", "M", "-1M", "many", "NaN", "9E", "99999999T", "1X"} {
		var s Size
		if err := s.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q was taken for %d", in, s)
		}
	}
	for s, want := range map[Size]string{0: "0 B", 1023: "1023 B", 64 << 20: "64 MiB", 3 << 29: "1.5 GiB"} {
		if got := s.String(); got != want {
			t.Errorf("%d is written %q, want %q", int64(s), got, want)
		}
	}
}

func TestAge(t *testing.T) {
	day := Age(24 * time.Hour)
	for in, want := range map[string]Age{"0": 0, "90m": Age(90 * time.Minute), "30d": 30 * day, "2w": 14 * day, "0.5d": day / 2, "1y": 365 * day} {
		var a Age
		if err := a.UnmarshalText([]byte(in)); err != nil || a != want {
			t.Errorf("%q: %v, %v; want %v", in, a, err, want)
		}
	}
	for _, in := range []string{"", "d", "-1d", "soon", "1e30y", "-5m"} {
		var a Age
		if err := a.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q was taken for %v", in, a)
		}
	}
	for a, want := range map[Age]string{30 * day: "30d", Age(90 * time.Minute): "1h30m0s", day + 1: "24h0m0.000000001s"} {
		if got := a.String(); got != want {
			t.Errorf("%d is written %q, want %q", a, got, want)
		}
	}
}

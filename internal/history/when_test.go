package history

import (
	"testing"
	"time"
)

// now is the time at which people ask in these tests: a Friday.
var now = time.Date(2026, 1, 2, 12, 30, 0, 0, time.UTC)

func unix(sec int) time.Time { return time.Unix(int64(sec), 0) }

func TestTimes(t *testing.T) {
	for text, want := range map[string]string{
		"12:03":                     "2026-01-02T12:03:00Z",
		"12:30":                     "2026-01-02T12:30:00Z",
		"12:31":                     "2026-01-01T12:31:00Z", // the last one that has passed
		"23:59:59":                  "2026-01-01T23:59:59Z",
		"yesterday 12:03":           "2026-01-01T12:03:00Z",
		"Yesterday  12:03":          "2026-01-01T12:03:00Z",
		"yesterday":                 "2026-01-01T00:00:00Z",
		"today":                     "2026-01-02T00:00:00Z",
		"today 23:00":               "2026-01-02T23:00:00Z",
		"thursday 08:00":            "2026-01-01T08:00:00Z",
		"fri 08:00":                 "2025-12-26T08:00:00Z", // the one before today
		"saturday":                  "2025-12-27T00:00:00Z",
		"2026-01-01":                "2026-01-01T00:00:00Z",
		"2026-01-01 07:08":          "2026-01-01T07:08:00Z",
		"2026-01-01 07:08:09":       "2026-01-01T07:08:09Z",
		"2026-01-01T07:08":          "2026-01-01T07:08:00Z",
		"2026-01-01T07:08:09+02:00": "2026-01-01T05:08:09Z",
		"2026-01-01T07:08:09.5Z":    "2026-01-01T07:08:09.5Z",
		"2026-01-01 07:08:09 -0100": "2026-01-01T08:08:09Z",
		"5m":                        "2026-01-02T12:25:00Z",
		"5m ago":                    "2026-01-02T12:25:00Z",
		"1h30m ago":                 "2026-01-02T11:00:00Z",
		"1 hour ago":                "2026-01-02T11:30:00Z",
		"3 days ago":                "2025-12-30T12:30:00Z",
		"2w":                        "2025-12-19T12:30:00Z",
		"1 month ago":               "2025-12-02T12:30:00Z",
		"now":                       "2026-01-02T12:30:00Z",
		"@1767355200":               "2026-01-02T12:00:00Z",
		"@1767355200.25":            "2026-01-02T12:00:00.25Z",
		"@1767355200.000000001":     "2026-01-02T12:00:00.000000001Z",
		"12:03:00.250":              "2026-01-02T12:03:00.25Z",
		"2026-01-01 07:08:09.125":   "2026-01-01T07:08:09.125Z",
	} {
		m, ok := ParseTime(text, now)
		if got := m.Time.UTC().Format(time.RFC3339Nano); !ok || got != want {
			t.Errorf("%q is %s, %v; want %s", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "primary", "25:00", "12", "0", "abc ago", "5", "-5m", "yesterday noonish", "10.9.0.7", "99999999999d", "3fbc181", "@", "@x", "@1.", "@1.x", "@1.0000000001", "@-1.5"} {
		if m, ok := ParseTime(text, now); ok {
			t.Errorf("%q is taken for %v", text, m.Time)
		}
	}
}

// Clocks are read where the person is, also on a day when they are changed.
func TestTimesInAZone(t *testing.T) {
	zone := time.FixedZone("", 3600)
	m, ok := ParseTime("12:03", now.In(zone)) // it is 13:30 there
	if want := time.Date(2026, 1, 2, 11, 3, 0, 0, time.UTC); !ok || !m.Time.Equal(want) {
		t.Errorf("12:03 is %v, want %v", m.Time, want)
	}
}

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"12:03", "yesterday 12:03", "5m ago", "@12", "mon", "2026-01-02T03:04:05Z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { ParseTime(s, now) })
}

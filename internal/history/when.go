package history

import (
	"strconv"
	"strings"
	"time"
)

// Moment is a point in time as a person writes it.
type Moment struct {
	Time time.Time
	// Daily is set for a time of day without a date: it then is the last such
	// time that has passed.
	Daily bool
}

// layouts are the absolute forms, in the zone of the reader where they name
// none.
var layouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05 -0700",
	"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02",
}

// ParseTime reads a time: RFC 3339, "2006-01-02 15:04", "2006-01-02" (its
// beginning), "12:03", "yesterday 12:03", "monday 12:03", "5m ago", "3 days
// ago", "2h30m", "now", "@" and seconds since 1970. Seconds may have
// a fraction. Relative forms are relative to now, in whose zone the rest is read.
func ParseTime(s string, now time.Time) (Moment, bool) {
	s = strings.Join(strings.Fields(s), " ")
	for _, l := range layouts {
		if t, err := time.ParseInLocation(l, s, now.Location()); err == nil {
			return Moment{Time: t}, true
		}
	}
	if sec, ok := strings.CutPrefix(s, "@"); ok {
		t, ok := parseUnix(sec)
		return Moment{Time: t.In(now.Location())}, ok
	}
	s = strings.ToLower(s)
	if s == "now" {
		return Moment{Time: now}, true
	}
	if d, ok := parseAgo(s, now); ok {
		return Moment{Time: d}, true
	}
	word, rest, _ := strings.Cut(s, " ")
	back, isDay := dayWord(word, now)
	if !isDay {
		if clock, ok := parseClock(s); ok {
			t := onDay(now, 0, clock)
			if t.After(now) {
				t = onDay(now, -1, clock)
			}
			return Moment{Time: t, Daily: true}, true
		}
		return Moment{}, false
	}
	clock, ok := parseClock(rest)
	if rest == "" {
		ok = true
	}
	return Moment{Time: onDay(now, -back, clock)}, ok
}

// dayWord returns how many days ago a day was.
func dayWord(word string, now time.Time) (int, bool) {
	switch word {
	case "today":
		return 0, true
	case "yesterday":
		return 1, true
	}
	for d := time.Sunday; d <= time.Saturday; d++ {
		if name := strings.ToLower(d.String()); word == name || word == name[:3] {
			return (int(now.Weekday()-d)+6)%7 + 1, true // the last one before today
		}
	}
	return 0, false
}

// parseClock reads a time of day: hours, minutes, and seconds
// with a fraction if there are any.
func parseClock(s string) (clock time.Time, ok bool) {
	for _, l := range []string{"15:04", "15:04:05"} {
		if t, err := time.Parse(l, s); err == nil {
			return t, true
		}
	}
	return clock, false
}

// onDay returns a time of day, some days after today.
func onDay(now time.Time, days int, clock time.Time) time.Time {
	y, m, d := now.Date()
	return time.Date(y, m, d+days, clock.Hour(), clock.Minute(), clock.Second(), clock.Nanosecond(), now.Location())
}

// parseUnix reads seconds since 1970, with up to nine digits of a fraction.
func parseUnix(s string) (time.Time, bool) {
	whole, fraction, dot := strings.Cut(s, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || !dot {
		return time.Unix(sec, 0), err == nil
	}
	nano, err := strconv.ParseUint((fraction + "000000000")[:max(9, len(fraction))], 10, 32)
	if err != nil || fraction == "" || len(fraction) > 9 || sec < 0 {
		return time.Time{}, false
	}
	return time.Unix(sec, int64(nano)), true
}

// parseAgo reads a duration before now: "5m", "5m ago", "1h30m ago", "3 days
// ago", "2 weeks ago".
func parseAgo(s string, now time.Time) (time.Time, bool) {
	s = strings.TrimSuffix(s, " ago")
	if d, err := time.ParseDuration(strings.ReplaceAll(s, " ", "")); err == nil {
		return now.Add(-d), d >= 0 && s != "0"
	}
	i := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	if i <= 0 {
		return time.Time{}, false
	}
	n, err := strconv.Atoi(s[:i])
	if err != nil || n > 1e6 {
		return time.Time{}, false
	}
	switch strings.TrimSuffix(strings.TrimSpace(s[i:]), "s") {
	case "second", "sec":
		return now.Add(-time.Duration(n) * time.Second), true
	case "minute", "min":
		return now.Add(-time.Duration(n) * time.Minute), true
	case "hour":
		return now.Add(-time.Duration(n) * time.Hour), true
	case "d", "day":
		return now.AddDate(0, 0, -n), true
	case "w", "week":
		return now.AddDate(0, 0, -7*n), true
	case "month":
		return now.AddDate(0, -n, 0), true
	case "y", "year":
		return now.AddDate(-n, 0, 0), true
	}
	return time.Time{}, false
}

// after returns the first time at which a Daily moment comes after t.
func (m Moment) after(t time.Time) Moment {
	if !m.Daily {
		return m
	}
	for m.Time.Before(t) {
		m.Time = m.Time.AddDate(0, 0, 1)
	}
	for prev := m.Time.AddDate(0, 0, -1); !prev.Before(t); prev = prev.AddDate(0, 0, -1) {
		m.Time = prev
	}
	return m
}

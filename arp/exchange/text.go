package exchange

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"arpeggio/stack/ethernet"
)

// maxLine bounds a line of text, in bytes.
const maxLine = 64 << 10

// Errors of fields.
var (
	errFields = errors.New("wrong number of fields")
	errMAC    = errors.New("not an Ethernet address of a station")
	errAddr   = errors.New("not an IP address")
	errTime   = errors.New("not a time in seconds since 1970")
)

// lines yields the rows of a text, line by line. Parse returns false for a line
// that says nothing.
func lines(r io.Reader, parse func(line string) (Row, bool, error)) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		sc := bufio.NewScanner(r)
		sc.Buffer(make([]byte, 0, 4096), maxLine)
		n := 0
		for sc.Scan() {
			n++
			row, ok, err := parse(sc.Text())
			if err != nil {
				err, ok = &LineError{Line: n, Text: sc.Text(), Err: err}, true
			}
			if ok && !yield(row, err) {
				return
			}
		}
		switch err := sc.Err(); {
		case errors.Is(err, bufio.ErrTooLong):
			yield(Row{}, fmt.Errorf("%w: line %d is longer than %d bytes", ErrFormat, n+1, maxLine))
		case err != nil:
			yield(Row{}, err)
		}
	}
}

// parseMAC reads a MAC address of a station in the usual form, or as arpwatch
// and ether_ntoa(3) write it, without leading zeros.
func parseMAC(s string) (ethernet.Addr, error) {
	var a ethernet.Addr
	parts := strings.Split(s, ":")
	if len(parts) != len(a) {
		return a, errMAC
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 16, 8)
		if err != nil || len(p) > 2 {
			return a, errMAC
		}
		a[i] = byte(n)
	}
	if !a.IsStation() {
		return a, errMAC
	}
	return a, nil
}

// parseAddr reads an address of a station.
func parseAddr(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.IsUnspecified() || a.IsMulticast() || a.Zone() != "" {
		return netip.Addr{}, errAddr
	}
	return a.Unmap(), nil
}

// maxTime is the last second of the year 9999.
const maxTime = 253402300799

// parseTime reads seconds since 1970; 0 is no time.
func parseTime(s string) (time.Time, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > maxTime {
		return time.Time{}, errTime
	}
	if n == 0 {
		return time.Time{}, nil
	}
	return time.Unix(n, 0).UTC(), nil
}

// word returns s if it can stand as one field of a line, else nothing.
func word(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return ""
	}
	return s
}

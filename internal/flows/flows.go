// Package flows adds columns to flow records in CSV: who the two ends were at
// the time of each. What was there stays, byte for byte.
package flows

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrColumn is wrapped by the error for a column that is not there.
var ErrColumn = errors.New("no such column")

// Columns names columns of the header. An empty name is looked for among those
// that usual tools write, without regard to case; that of the VLAN may be
// missing then.
type Columns struct{ Time, Source, Destination, VLAN string }

// usual are the names that are looked for.
var usual = struct{ time, source, destination, vlan []string }{
	time: []string{"time", "ts", "start", "first", "timestamp", "start_time", "starttime", "stime", "first_seen", "first_switched",
		"flow_start", "flowstart", "flowstartmilliseconds", "date first seen", "time_start", "date"},
	source: []string{"src", "srcip", "src_ip", "sa", "srcaddr", "src_addr", "saddr", "source", "source_ip", "source_address", "ip_src",
		"sourceipv4address", "ipv4_src_addr", "src ip addr", "id.orig_h"},
	destination: []string{"dst", "dstip", "dst_ip", "da", "dstaddr", "dst_addr", "daddr", "destination", "destination_ip",
		"destination_address", "ip_dst", "destinationipv4address", "ipv4_dst_addr", "dst ip addr", "id.resp_h"},
	vlan: []string{"vlan", "vlan_id", "vlanid", "svln", "srcvlan", "src_vlan"},
}

// Question is about one end of a flow.
type Question struct {
	Time time.Time
	Addr netip.Addr
	VLAN string // as the row has it; empty when there is no such column
}

// Config says how Join works. Answer is required.
type Config struct {
	Columns Columns
	// Names are those of the added columns, with SRC or DST and an underscore
	// before them.
	Names []string
	// Answer returns as many values as there are Names; nil leaves them empty.
	Answer func(Question) ([]string, error)
	// Zone is that of times that name none; UTC when nil.
	Zone *time.Location
}

// Result counts.
type Result struct {
	Rows    int // without the header
	Known   int // ends of flows that were answered
	Unknown int // those that were not
	Strange int // rows in which a time or an address could not be read
}

// maxRow bounds a row, and so what a reader needs.
const maxRow = 1 << 20

// Join copies CSV with a header line and adds columns at the end of each row.
// The delimiter is the comma, tab, semicolon or bar, whichever comes first in
// the header.
func Join(w io.Writer, r io.Reader, cfg Config) (res Result, err error) {
	in := bufio.NewReaderSize(r, 1<<16)
	head, err := in.Peek(in.Size())
	if len(head) == 0 && err == io.EOF {
		return res, fmt.Errorf("flows: there is no header line")
	}
	raw := &recorder{r: in}
	rows := csv.NewReader(raw)
	rows.LazyQuotes, rows.FieldsPerRecord, rows.ReuseRecord = true, -1, true
	rows.Comma = delimiter(head)
	out := bufio.NewWriter(w)
	defer func() { err = errors.Join(err, out.Flush()) }()
	j := joiner{cfg: cfg, out: out, comma: byte(rows.Comma)}
	for n := 0; ; n++ {
		row, err := rows.Read()
		if err == io.EOF {
			out.Write(raw.rest())
			return j.res, nil
		}
		if err != nil {
			return j.res, fmt.Errorf("flows: %w", err)
		}
		text := raw.take(rows.InputOffset())
		if n == 0 {
			err = j.header(row, text)
		} else {
			err = j.row(row, text)
		}
		if err != nil {
			return j.res, err
		}
	}
}

// delimiter looks for the first one in the header.
func delimiter(head []byte) rune {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	if i := bytes.IndexAny(line, ",\t;|"); i >= 0 {
		return rune(line[i])
	}
	return ','
}

// recorder keeps what was read until it is taken.
type recorder struct {
	r    io.Reader
	buf  []byte
	from int64 // the offset at which buf begins
}

var errLongRow = fmt.Errorf("a row is longer than %d bytes; is a quotation mark left open?", maxRow)

func (c *recorder) Read(b []byte) (int, error) {
	if len(c.buf) > maxRow {
		return 0, errLongRow
	}
	n, err := c.r.Read(b)
	c.buf = append(c.buf, b[:n]...)
	return n, err
}

// take returns what was read up to an offset; it is valid until the next Read.
func (c *recorder) take(until int64) []byte {
	n := until - c.from
	text := c.buf[:n]
	c.buf, c.from = c.buf[n:], until
	return text
}

func (c *recorder) rest() []byte { return c.buf }

// joiner writes rows.
type joiner struct {
	cfg                      Config
	out                      *bufio.Writer
	comma                    byte
	time, source, dest, vlan int // columns; vlan is -1 when there is none
	res                      Result
}

func (j *joiner) header(row []string, text []byte) (err error) {
	names := make([]string, len(row))
	for i, n := range row {
		names[i] = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(n, "\ufeff")))
	}
	if j.time, err = column(names, j.cfg.Columns.Time, "time", usual.time); err != nil {
		return err
	}
	if j.source, err = column(names, j.cfg.Columns.Source, "source address", usual.source); err != nil {
		return err
	}
	if j.dest, err = column(names, j.cfg.Columns.Destination, "destination address", usual.destination); err != nil {
		return err
	}
	if j.vlan, err = column(names, j.cfg.Columns.VLAN, "VLAN", usual.vlan); err != nil && j.cfg.Columns.VLAN != "" {
		return err
	}
	var added []string
	for _, end := range []string{"src_", "dst_"} {
		for _, n := range j.cfg.Names {
			added = append(added, end+n)
		}
	}
	j.write(text, added)
	return nil
}

// column finds a column by the name that was given, or by a usual one.
func column(names []string, name, what string, usual []string) (int, error) {
	if name != "" {
		usual = []string{strings.ToLower(name)}
	}
	for _, n := range usual {
		if i := slices.Index(names, n); i >= 0 {
			return i, nil
		}
	}
	if name != "" {
		return -1, fmt.Errorf("flows: %w %q for the %s; there are %s", ErrColumn, name, what, strings.Join(names, ", "))
	}
	return -1, fmt.Errorf("flows: %w for the %s; there are %s", ErrColumn, what, strings.Join(names, ", "))
}

func (j *joiner) row(row []string, text []byte) error {
	j.res.Rows++
	field := func(i int) string {
		if i < 0 || i >= len(row) {
			return ""
		}
		return strings.TrimSpace(row[i])
	}
	q := Question{VLAN: field(j.vlan)}
	var ok bool
	q.Time, ok = ParseTime(field(j.time), j.cfg.Zone)
	strange := !ok
	var added []string
	for _, i := range []int{j.source, j.dest} {
		var answer []string
		addr, err := netip.ParseAddr(field(i))
		strange = strange || err != nil
		if err == nil && ok {
			q.Addr = addr.Unmap().WithZone("")
			if answer, err = j.cfg.Answer(q); err != nil {
				return err
			}
		}
		if answer == nil {
			answer = make([]string, len(j.cfg.Names))
			j.res.Unknown++
		} else {
			j.res.Known++
		}
		added = append(added, answer...)
	}
	if strange {
		j.res.Strange++
	}
	j.write(text, added)
	return nil
}

// write writes a row as it was, empty lines before it included, and fields
// before its end.
func (j *joiner) write(text []byte, added []string) {
	body := bytes.TrimRight(text, "\r\n")
	end := text[len(body):]
	j.out.Write(body)
	for _, a := range added {
		j.out.WriteByte(j.comma)
		if strings.ContainsAny(a, "\",\t;|\r\n") {
			a = `"` + strings.ReplaceAll(a, `"`, `""`) + `"`
		}
		j.out.WriteString(a)
	}
	j.out.Write(end)
}

// ParseTime reads the time of a flow: RFC 3339, a date and a clock, or seconds,
// milliseconds, microseconds or nanoseconds since 1970, told by their size.
func ParseTime(s string, zone *time.Location) (time.Time, bool) {
	if zone == nil {
		zone = time.UTC
	}
	for _, l := range []string{time.RFC3339Nano, "2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006/01/02 15:04:05", "2006/01/02T15:04:05"} {
		if t, err := time.ParseInLocation(l, s, zone); err == nil {
			return t, true
		}
	}
	whole, fraction, dot := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n < 0 {
		return time.Time{}, false
	}
	switch {
	case dot && n < 1e11:
		nano, err := strconv.ParseUint((fraction + "000000000")[:9], 10, 32)
		return time.Unix(n, int64(nano)), err == nil && strings.Trim(fraction, "0123456789") == ""
	case dot:
		return time.Time{}, false
	case n < 1e11:
		return time.Unix(n, 0), true
	case n < 1e14:
		return time.UnixMilli(n), true
	case n < 1e17:
		return time.UnixMicro(n), true
	}
	return time.Unix(0, n), true
}

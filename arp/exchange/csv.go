package exchange

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"arpeggio/stack/ethernet"
)

// The columns of our CSV. Readers find them by name, in any order; address and
// mac must be there, and names that they do not know are ignored.
var csvColumns = [...]string{"address", "mac", "domain", "vlan", "state", "first_seen", "last_seen", "interface", "host", "vendor"}

var errState = errors.New("not a state: want dynamic or static")

func readCSV(r io.Reader) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		in := csv.NewReader(r)
		in.ReuseRecord = true
		head, err := in.Read()
		if err != nil {
			yield(Row{}, fmt.Errorf("%w: no heading: %w", ErrFormat, err))
			return
		}
		names := slices.Clone(head)
		if !slices.Contains(names, "address") || !slices.Contains(names, "mac") {
			yield(Row{}, fmt.Errorf("%w: the heading has no address and mac: %.60q", ErrFormat, strings.Join(names, ",")))
			return
		}
		for {
			rec, err := in.Read()
			if err == io.EOF {
				return
			}
			line := 0
			if len(rec) > 0 {
				line, _ = in.FieldPos(0)
			}
			var row Row
			switch {
			case errors.Is(err, csv.ErrFieldCount):
				err = &LineError{Line: line, Text: strings.Join(rec, ","), Err: errFields}
			case err != nil:
				yield(Row{}, fmt.Errorf("%w: %w", ErrFormat, err))
				return
			default:
				if row, err = csvRow(names, rec); err != nil {
					err = &LineError{Line: line, Text: strings.Join(rec, ","), Err: err}
				}
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

func csvRow(names, rec []string) (row Row, err error) {
	for i, v := range rec {
		switch names[i] {
		case "address":
			row.Key.Addr, err = parseAddr(v)
		case "mac":
			row.MAC, err = parseMAC(v)
		case "domain":
			row.Key.Domain = v
		case "vlan":
			if v != "" {
				row.Key.VLAN, err = ethernet.ParseVLAN(v)
			}
		case "state":
			switch v {
			case "", "dynamic":
			case "static":
				row.State = Static
			default:
				err = errState
			}
		case "first_seen":
			row.First, err = parseStamp(v)
		case "last_seen":
			row.Seen, err = parseStamp(v)
		case "interface":
			row.Interface = v
		case "host":
			row.Host = v
		case "vendor":
			row.Vendor = v
		}
		if err != nil {
			return row, err
		}
	}
	return row, nil
}

func writeCSV(w io.Writer, rows iter.Seq[Row]) (left int, err error) {
	out := csv.NewWriter(w)
	out.Write(csvColumns[:]) // errors stay in out
	for row := range rows {
		state := "dynamic"
		if row.State == Static {
			state = "static"
		}
		vlan := ""
		if !row.Key.VLAN.IsZero() {
			vlan = row.Key.VLAN.String()
		}
		out.Write([]string{row.Key.Addr.String(), row.MAC.String(), row.Key.Domain, vlan, state,
			formatStamp(row.First), formatStamp(row.Seen), row.Interface, row.Host, row.Vendor})
	}
	out.Flush()
	return 0, out.Error()
}

func parseStamp(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Unix() < 0 || t.Unix() > maxTime {
		return time.Time{}, errors.New("not a time in the form of RFC 3339")
	}
	return t.UTC(), nil
}

func formatStamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

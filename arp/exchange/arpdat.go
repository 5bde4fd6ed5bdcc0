package exchange

import (
	"bufio"
	"io"
	"iter"
	"strconv"
	"strings"
)

// arpwatch's arp.dat: MAC, address, time of the last sighting in seconds, host
// name, interface, with tabs between them; the last two may be missing. An
// address that had several MACs has a line for each. arpwatch knows IPv4 only.

func readArpDat(r io.Reader) iter.Seq2[Row, error] {
	return lines(r, func(line string) (row Row, ok bool, err error) {
		if strings.TrimSpace(line) == "" || line[0] == '#' {
			return row, false, nil
		}
		f := strings.Split(line, "\t")
		if len(f) < 3 || len(f) > 5 {
			return row, true, errFields
		}
		if row.MAC, err = parseMAC(f[0]); err != nil {
			return row, true, err
		}
		if row.Key.Addr, err = parseAddr(f[1]); err != nil {
			return row, true, err
		}
		if row.Seen, err = parseTime(f[2]); err != nil {
			return row, true, err
		}
		if len(f) > 3 {
			row.Host = word(f[3])
		}
		if len(f) > 4 {
			row.Interface = word(f[4])
		}
		return row, true, nil
	})
}

func writeArpDat(w io.Writer, rows iter.Seq[Row]) (left int, err error) {
	out := bufio.NewWriter(w)
	for row := range rows {
		if !row.Key.Addr.Is4() || !row.Key.VLAN.IsZero() {
			left++
			continue
		}
		b := row.MAC.AppendTo(out.AvailableBuffer())
		b = append(b, '\t')
		b = row.Key.Addr.AppendTo(b)
		b = append(b, '\t')
		b = strconv.AppendInt(b, max(row.Seen.Unix(), 0), 10)
		b = append(b, '\t')
		b = append(b, word(row.Host)...)
		b = append(b, '\t')
		b = append(b, word(row.Interface)...)
		out.Write(append(b, '\n')) // an error stays in out
	}
	return left, out.Flush()
}

package exchange

import (
	"bufio"
	"io"
	"iter"
	"strings"
)

// ethers(5): a MAC and an address or a host name a line, # begins a comment.
// A line with a host name has no address; the caller may look it up.

func readEthers(r io.Reader) iter.Seq2[Row, error] {
	return lines(r, func(line string) (row Row, ok bool, err error) {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) == 0 {
			return row, false, nil
		}
		if len(f) != 2 {
			return row, true, errFields
		}
		row.State = Static
		if row.MAC, err = parseMAC(f[0]); err != nil {
			return row, true, err
		}
		if a, err := parseAddr(f[1]); err == nil {
			row.Key.Addr = a
		} else {
			row.Host = f[1]
		}
		return row, true, nil
	})
}

func writeEthers(w io.Writer, rows iter.Seq[Row]) (left int, err error) {
	out := bufio.NewWriter(w)
	for row := range rows {
		name := word(row.Host)
		if row.Key.Addr.IsValid() {
			name = row.Key.Addr.String()
		}
		if name == "" || strings.Contains(name, "#") || !row.Key.VLAN.IsZero() {
			left++
			continue
		}
		b := row.MAC.AppendTo(out.AvailableBuffer())
		b = append(b, ' ')
		b = append(b, name...)
		out.Write(append(b, '\n')) // an error stays in out
	}
	return left, out.Flush()
}

package exchange

import (
	"errors"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"

	"arpeggio/stack/ethernet"
)

// The kinds of packets that addrwatch names.
var addrwatchKinds = [...]string{"ARP_REQ", "ARP_REP", "ARP_ACD", "ND_NS", "ND_NA", "ND_DAD"}

var (
	errVLAN = errors.New("not a VLAN from 0 to 4094")
	errKind = errors.New("not a kind of packet that addrwatch names")
)

// readAddrwatch reads time, interface, VLAN, MAC, address and kind, with spaces
// between them. A probe (ARP_ACD, ND_DAD) binds nothing and is left out.
func readAddrwatch(r io.Reader) iter.Seq2[Row, error] {
	return lines(r, func(line string) (row Row, ok bool, err error) {
		f := strings.Fields(line)
		if len(f) == 0 {
			return row, false, nil
		}
		if len(f) != 6 {
			return row, true, errFields
		}
		if row.Seen, err = parseTime(f[0]); err != nil {
			return row, true, err
		}
		row.Interface = f[1]
		vid, err := strconv.ParseUint(f[2], 10, 16)
		if err != nil || vid > 4094 {
			return row, true, errVLAN
		}
		row.Key.VLAN = ethernet.VLAN{Inner: uint16(vid)}
		row.Kind = f[5]
		switch {
		case !slices.Contains(addrwatchKinds[:], row.Kind):
			return row, true, errKind
		case row.Kind == "ARP_ACD" || row.Kind == "ND_DAD":
			return row, false, nil
		}
		if row.MAC, err = parseMAC(f[3]); err != nil {
			return row, true, err
		}
		row.Key.Addr, err = parseAddr(f[4])
		return row, true, err
	})
}

package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Where a message keeps what is read without the rest, and the fields that options
// may overflow into (RFC 2131 §2).
const (
	xidStart    = 4
	chaddrStart = 28
	snameStart  = 44
	fileStart   = 108
	fileEnd     = 236
)

// maxOption is the longest option that is read, in octets, with its parts put
// together (RFC 3396). What we ask for stays below.
const maxOption = 1024

var (
	errOverload = errors.New("host: DHCP option 52 is neither 1, 2 nor 3")
	errOption   = fmt.Errorf("host: a DHCP option has more than %d octets", maxOption)
)

// overloaded adds to opts, those of message b, the options that stand in its file
// and sname fields, in this order (RFC 2131 §4.1, RFC 2132 §9.3).
func overloaded(opts dhcpv4.Options, b []byte) error {
	where := opts.Get(dhcpv4.OptionOptionOverload)
	if where == nil {
		return nil
	}
	if len(where) != 1 || where[0] < 1 || where[0] > 3 {
		return errOverload
	}
	fields := [2][]byte{b[fileStart:fileEnd], b[snameStart:fileStart]}
	for n, field := range fields {
		if where[0]&(1<<n) == 0 {
			continue
		}
		if err := opts.FromBytes(field); err != nil {
			return fmt.Errorf("host: overloaded DHCP options: %w", err)
		}
	}
	return nil
}

func ip(a netip.Addr) net.IP {
	if !a.IsValid() {
		return net.IPv4zero
	}
	return a.AsSlice()
}

func addrOf(b []byte) netip.Addr {
	if len(b) != 4 || b[0]|b[1]|b[2]|b[3] == 0 {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte(b))
}

// addrsOf reads a list of addresses; one whose length is no multiple of four is
// no list.
func addrsOf(b []byte) (as []netip.Addr) {
	if len(b)%4 != 0 {
		return nil
	}
	for ; len(b) >= 4; b = b[4:] {
		if a := addrOf(b[:4]); a.IsValid() {
			as = append(as, a)
		}
	}
	return as
}

// maxServers bounds the name servers, and the time servers, of a lease.
const maxServers = 8

// serversOf reads a list of servers; those after the first maxServers are left out.
func serversOf(b []byte) []netip.Addr {
	as := addrsOf(b)
	return as[:min(len(as), maxServers)]
}

func octets(as ...netip.Addr) (b []byte) {
	for _, a := range as {
		if a.Is4() {
			b = append(b, a.AsSlice()...)
		}
	}
	return b
}

func maskBits(b []byte) int {
	if len(b) == 0 {
		return -1
	}
	if len(b) != 4 {
		return -2
	}
	v := binary.BigEndian.Uint32(b)
	n := bits.LeadingZeros32(^v)
	if v<<n != 0 {
		return -2
	}
	return n
}

func seconds(b []byte) time.Duration {
	if len(b) != 4 {
		return 0
	}
	return time.Duration(binary.BigEndian.Uint32(b)) * time.Second
}

// text reads a string option: some servers end it with NULs, and one with
// other control characters is not a name.
func text(b []byte) string {
	s := strings.TrimRight(string(b), "\x00")
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return ""
		}
	}
	return s
}

// number16 reads a 16-bit number, 0 when there is none.
func number16(b []byte) int {
	if len(b) != 2 {
		return 0
	}
	return int(binary.BigEndian.Uint16(b))
}

// maxRoutes bounds the routes that a server may give.
const maxRoutes = 64

// routesOf reads classless routes (RFC 3442); one that is malformed spoils all.
func routesOf(b []byte) (out []LeaseRoute) {
	var rs dhcpv4.Routes
	if rs.FromBytes(b) != nil || len(rs) > maxRoutes {
		return nil
	}
	for _, r := range rs {
		ones, _ := r.Dest.Mask.Size()
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte(r.Dest.IP)), ones).Masked()
		out = append(out, LeaseRoute{p, addrOf(r.Router)})
	}
	return out
}

// routeOctets is the inverse of routesOf.
func routeOctets(routes []LeaseRoute) []byte {
	rs := make(dhcpv4.Routes, len(routes))
	for n, r := range routes {
		rs[n] = &dhcpv4.Route{
			Dest:   &net.IPNet{IP: r.Prefix.Addr().AsSlice(), Mask: net.CIDRMask(r.Prefix.Bits(), 32)},
			Router: ip(r.NextHop),
		}
	}
	return rs.ToBytes()
}

package main

import (
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"

	"arpeggio/stack"

	"github.com/alecthomas/kong"
)

// prefixFlag reads a netip.Prefix and says what one looks like.
func prefixFlag(ctx *kong.DecodeContext, target reflect.Value) error {
	var s string
	if err := ctx.Scan.PopValueInto("address and length", &s); err != nil {
		return err
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return fmt.Errorf("%q: want an address and the length of its network, such as 10.9.0.2/24", s)
	}
	target.Set(reflect.ValueOf(p))
	return nil
}

// addrFlag reads a netip.Addr.
func addrFlag(ctx *kong.DecodeContext, target reflect.Value) error {
	var s string
	if err := ctx.Scan.PopValueInto("address", &s); err != nil {
		return err
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return fmt.Errorf("%q: want an IP address, such as 10.9.0.1", s)
	}
	target.Set(reflect.ValueOf(a))
	return nil
}

// portRange is a port, or a range of them with both ends included.
type portRange stack.PortRange

// UnmarshalText reads "8080" and "32768-60999".
func (r *portRange) UnmarshalText(b []byte) error {
	first, last, ok := strings.Cut(string(b), "-")
	if !ok {
		last = first
	}
	lo, err1 := strconv.ParseUint(first, 10, 16)
	hi, err2 := strconv.ParseUint(last, 10, 16)
	if err1 != nil || err2 != nil || lo == 0 || hi < lo {
		return fmt.Errorf("%q: want a port or a range of ports, such as 8080 or 32768-60999", b)
	}
	*r = portRange{uint16(lo), uint16(hi)}
	return nil
}

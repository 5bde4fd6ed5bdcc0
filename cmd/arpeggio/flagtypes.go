package main

import (
	"fmt"
	"net/netip"
	"reflect"

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

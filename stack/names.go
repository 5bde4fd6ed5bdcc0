package stack

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"
)

// NameResolver finds the addresses of a host name. *net.Resolver is one; that of
// package host asks name servers through the stack itself. LookupNetIP is called
// with the network "ip4", from any goroutine and without a lock of the stack's; it
// may block until ctx ends. Its error is a *net.DNSError as a rule.
type NameResolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// SetNames gives the stack what Dial and DialContext ask for the addresses of a
// host that is named. Nil, as it is from the start, is nobody: then only
// addresses can be dialled.
func (s *Stack) SetNames(r NameResolver) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names = r
}

// errNoAddress is package net's.
var errNoAddress = errors.New("missing address")

// errNoNames says why a name cannot be looked up.
const errNoNames = "the stack has no name resolver: see Stack.SetNames"

// resolve returns the addresses and the port that address means, at least one.
func (s *Stack) resolve(ctx context.Context, network, address string) ([]netip.AddrPort, error) {
	if a, err := parseAddr(address); err == nil {
		return []netip.AddrPort{a}, nil
	}
	if address == "" {
		return nil, errNoAddress
	}
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := (&net.Resolver{PreferGo: true}).LookupPort(ctx, network, service)
	if err != nil {
		return nil, err
	}
	if a, err := netip.ParseAddr(host); err == nil && !a.Unmap().Is4() {
		return nil, &net.AddrError{Err: "the stack speaks IPv4 only", Addr: host}
	}
	addrs, err := s.lookupHost(ctx, host)
	if err != nil {
		return nil, err
	}
	to := make([]netip.AddrPort, len(addrs))
	for n, a := range addrs {
		to[n] = netip.AddrPortFrom(a.Unmap(), uint16(port))
	}
	return to, nil
}

// lookupHost returns the IPv4 addresses of host, at least one. The empty host is
// 0.0.0.0, as for parseAddr.
func (s *Stack) lookupHost(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	if host == "" {
		return []netip.Addr{netip.IPv4Unspecified()}, nil
	}
	s.mu.Lock()
	names := s.names
	s.mu.Unlock()
	if names == nil {
		return nil, &net.DNSError{Err: errNoNames, Name: host}
	}
	addrs, err := names.LookupNetIP(ctx, "ip4", host)
	if err != nil {
		return nil, err
	}
	addrs = slices.DeleteFunc(addrs, func(a netip.Addr) bool { return !a.Unmap().Is4() })
	if len(addrs) == 0 {
		return nil, &net.DNSError{Err: "no IPv4 address", Name: host, IsNotFound: true}
	}
	return addrs, nil
}

// DialTimeout is DialContext for at most the given time, lookup of a name included;
// zero is no bound, and a negative one is over.
func (s *Stack) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx := context.Background()
	if timeout != 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	return s.DialContext(ctx, network, address)
}

// DialContext is Stack.DialContext with options, which are for TCP. Of several
// addresses each is tried in turn, with its share of the time that ctx leaves; the
// error is then the first one's, as package net has it.
func (d *Dialer) DialContext(ctx context.Context, s *Stack, network, address string) (net.Conn, error) {
	if n, is, err := parseIPNetwork(network); is {
		return s.dialIPName(ctx, d.Local.Addr(), n, network, address, err)
	}
	base, err := baseNetwork(network)
	var to []netip.AddrPort
	if err == nil {
		to, err = s.resolve(ctx, base, address)
	}
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	var first error
	for n, remote := range to {
		if remote.Addr().IsUnspecified() { // package net: the local system is assumed
			remote = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), remote.Port())
		}
		c, err := net.Conn(nil), endOf(ctx)
		if err != nil {
			err = opError("dial", network, endAddr(base, d.Local), endAddr(base, remote), err)
		} else {
			c, err = d.dialShare(ctx, s, base, remote, len(to)-n)
		}
		if err == nil {
			return c, nil
		}
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, asAsked(first, network)
}

// asAsked names the network as it was asked for.
func asAsked(err error, network string) error {
	if oe, ok := err.(*net.OpError); ok {
		oe.Net = network
	}
	return err
}

// minShare is the least time that one of several addresses is given, as long as
// ctx leaves it (package net has the same).
const minShare = 2 * time.Second

// dialShare connects to one address within its share of what ctx leaves to it and
// the others that follow: left, this one included.
func (d *Dialer) dialShare(ctx context.Context, s *Stack, network string, remote netip.AddrPort, left int) (net.Conn, error) {
	if network == "udp" {
		u, err := s.DialUDP(netip.AddrPort{}, remote)
		if err != nil {
			return nil, err
		}
		return u, nil
	}
	if end, ok := ctx.Deadline(); ok && left > 1 {
		share, cancel := context.WithTimeout(ctx, max(time.Until(end)/time.Duration(left), minShare))
		defer cancel()
		ctx = share
	}
	c, err := d.DialTCP(ctx, s, remote)
	if err != nil {
		return nil, err
	}
	return c, nil
}

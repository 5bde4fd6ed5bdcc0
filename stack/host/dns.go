package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"arpeggio/stack"
)

// dnsPort is where name servers listen (RFC 1035 §4.2).
const dnsPort = 53

// DefaultDNSTimeout is how long a name server is waited for before the next one is
// asked.
const DefaultDNSTimeout = 2 * time.Second

// ResolverConfig configures a Resolver. Stack is required.
type ResolverConfig struct {
	Stack *stack.Stack
	// Servers are the addresses of the name servers, the preferred one first, all
	// of them such as CheckHost accepts, and Search the domains to which names are
	// completed; SetServers changes both.
	Servers []netip.Addr
	Search  []string
	// Timeout is DefaultDNSTimeout when zero. A lookup whose time is shorter
	// gives each server its share.
	Timeout time.Duration
}

// Resolver asks name servers through a stack, by UDP and, for what does not fit a
// datagram, by TCP. It is a stack.NameResolver; for records other than addresses
// see Query and Net. It keeps no cache. Its methods are safe for concurrent use.
//
// The protocol is package net's own, but for Query. So is the habit of reading /etc/hosts first
// where that exists; the machine's name servers and search domains are not used.
type Resolver struct {
	stack   *stack.Stack
	timeout time.Duration
	net     *net.Resolver

	mu      sync.Mutex
	servers []netip.Addr // one that did not answer goes to the end
	search  []string
}

var _ stack.NameResolver = (*Resolver)(nil)

// NewResolver returns a Resolver. One without servers fails every lookup until
// SetServers.
func NewResolver(cfg ResolverConfig) (*Resolver, error) {
	if cfg.Stack == nil {
		return nil, errors.New("host: a Resolver needs a Stack")
	}
	for _, a := range cfg.Servers {
		if err := CheckHost(a); err != nil {
			return nil, fmt.Errorf("name server: %w", err)
		}
	}
	r := &Resolver{stack: cfg.Stack, timeout: cfg.Timeout}
	if r.timeout <= 0 {
		r.timeout = DefaultDNSTimeout
	}
	r.net = &net.Resolver{PreferGo: true, Dial: r.dial}
	r.SetServers(cfg.Servers, cfg.Search)
	return r, nil
}

// SetServers replaces name servers and search domains, as when a DHCP lease brings
// others. An address that CheckHost does not accept is left out, and so is what is no
// domain name.
func (r *Resolver) SetServers(servers []netip.Addr, search []string) {
	servers = slices.DeleteFunc(slices.Clone(servers), func(a netip.Addr) bool { return !isHost(a) })
	var domains []string
	for _, d := range search {
		if d = strings.Trim(d, "."); d != "" {
			domains = append(domains, d)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.servers, r.search = servers, domains
}

// Servers returns the name servers in the order in which they will be asked.
func (r *Resolver) Servers() []netip.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.servers)
}

// Net returns a resolver with all the lookups of package net: MX, TXT, SRV, CNAME
// and others. Give it names that end in a dot: else it completes them by the
// machine's own search domains, not by those of r.
func (r *Resolver) Net() *net.Resolver { return r.net }

// errNoServers is what a lookup says before anybody has named a server.
var errNoServers = errors.New("no name server is known")

// LookupNetIP returns the addresses of host, those on our own networks first; network
// is "ip4", "ip6", or "ip" for both. A name without a dot is completed by the search
// domains before it is asked for as it is, one with a dot afterwards, and one that
// ends in a dot not at all. The error is a *net.DNSError.
func (r *Resolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		if network == "ip4" && !a.Unmap().Is4() || network == "ip6" && a.Is4() {
			return nil, &net.DNSError{Err: "an address of the other family", Name: host, IsNotFound: true}
		}
		return []netip.Addr{a}, nil
	}
	if host == "" { // the root, which has no address; a search domain is not meant
		return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
	}
	if isUnder(host, "invalid") { // RFC 6761 §6.4
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	if isUnder(host, "localhost") { // the machine itself, RFC 6761 §6.3
		if network == "ip6" {
			return []netip.Addr{netip.IPv6Loopback()}, nil
		}
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}, nil
	}
	servers := r.Servers()
	if len(servers) == 0 {
		return nil, &net.DNSError{Err: errNoServers.Error(), Name: host, IsTemporary: true}
	}
	if end, ok := ctx.Deadline(); ok {
		ctx = context.WithValue(ctx, deadlineKey{}, end)
	}
	var first error
	for _, name := range r.names(host) {
		addrs, err := r.net.LookupNetIP(ctx, network, name)
		if err == nil {
			return r.nearest(addrs), nil
		}
		var de *net.DNSError
		if errors.As(err, &de) {
			// package net names the completed name and the machine's server.
			shown := *de
			shown.Name, shown.Server = host, servers[0].String()
			err = &shown
		}
		// That no server would say says more than that a name does not exist, and
		// after a silence there is no use in asking on.
		if first == nil || de != nil && !de.IsNotFound {
			first = err
		}
		if ctx.Err() != nil || de != nil && de.IsTimeout {
			break
		}
	}
	return nil, first
}

// isUnder reports whether host is the special name top or ends in it: nobody is
// asked for those (RFC 6761).
func isUnder(host, top string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == top || strings.HasSuffix(host, "."+top)
}

// deadlineKey is where dial finds the deadline of the caller's context: package
// net, which lets callers share a lookup, keeps the values only.
type deadlineKey struct{}

// names returns the complete names that host may stand for, in the order in which
// they are tried.
func (r *Resolver) names(host string) []string {
	if strings.HasSuffix(host, ".") {
		return []string{host}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	plain := host + "."
	names := make([]string, 0, len(r.search)+1)
	if strings.Contains(host, ".") {
		names = append(names, plain)
	}
	for _, d := range r.search {
		names = append(names, host+"."+d+".")
	}
	if !slices.Contains(names, plain) {
		names = append(names, plain)
	}
	return names
}

// dial is what package net calls for each question; the address is that of the
// machine's name server.
func (r *Resolver) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	servers := r.Servers()
	if len(servers) == 0 {
		return nil, errNoServers
	}
	if end, ok := ctx.Value(deadlineKey{}).(time.Time); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end)
		defer cancel()
	}
	if strings.HasPrefix(network, "udp") {
		end, _ := ctx.Deadline()
		return &exchange{r: r, servers: servers, end: end}, nil
	}
	// The answer was too long for a datagram; the server that said so comes
	// first.
	var first error
	for n, a := range servers {
		c, err := r.dialTCP(ctx, a, len(servers)-n)
		if err == nil {
			return c, nil
		}
		if first == nil {
			first = err
		}
		r.demote(a)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

// dialTCP connects to one server, within its share of the time for it and the
// others that follow.
func (r *Resolver) dialTCP(ctx context.Context, a netip.Addr, left int) (net.Conn, error) {
	end, _ := ctx.Deadline()
	ctx, cancel := context.WithTimeout(ctx, r.share(end, left))
	defer cancel()
	c, err := r.stack.DialTCP(ctx, netip.AddrPort{}, netip.AddrPortFrom(a, dnsPort))
	if err != nil {
		return nil, err
	}
	return overTCP{c}, nil
}

// share is how long a server is waited for when so many are left until end, which
// is zero when there is none.
func (r *Resolver) share(end time.Time, left int) time.Duration {
	if end.IsZero() {
		return r.timeout
	}
	return min(r.timeout, time.Until(end)/time.Duration(left))
}

// demote lets a server that did not answer be the last to be asked from now on.
func (r *Resolver) demote(a netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := slices.Index(r.servers, a); n >= 0 {
		r.servers = append(slices.Delete(r.servers, n, n+1), a)
	}
}

package recording

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// ErrFilter is wrapped by what a Filter's words are refused with.
var ErrFilter = errors.New("not a filter")

// Filter says which packets are shown. The zero value shows all.
type Filter struct {
	Protos      []string // arp, tcp, udp, icmp
	connections []connectionFilter
	states      []string // "any" for any
	commits     []string // beginnings of ids; "any" for any
	// Led wants packets that have led to something: a change of state, or a commit.
	Led bool
}

// connectionFilter names one end of a connection or both.
type connectionFilter []endFilter

type endFilter struct {
	net  netip.Prefix // invalid: any address
	port uint16       // 0: any
}

// Connection adds connections: an end, or two of them with a comma between. An end
// is an address, which may have a length behind a slash, a port behind a colon, or
// both.
func (f *Filter) Connection(text string) error {
	var c connectionFilter
	for part := range strings.SplitSeq(text, ",") {
		e, err := parseEnd(part)
		if err != nil {
			return err
		}
		c = append(c, e)
	}
	if len(c) > 2 {
		return fmt.Errorf("%w: %q: a connection has two ends", ErrFilter, text)
	}
	f.connections = append(f.connections, c)
	return nil
}

func parseEnd(text string) (e endFilter, err error) {
	host, port, two := strings.Cut(text, ":")
	if two {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return e, fmt.Errorf("%w: %q: want a port from 1 to 65535 behind the colon", ErrFilter, text)
		}
		e.port = uint16(n)
	}
	if host == "" && two {
		return e, nil
	}
	if e.net, err = netip.ParsePrefix(host); err != nil {
		a, err := netip.ParseAddr(host)
		if err != nil {
			return e, fmt.Errorf("%w: %q: want an end such as 10.9.0.7, 10.9.0.0/24, 10.9.0.7:80 or :80", ErrFilter, text)
		}
		e.net = netip.PrefixFrom(a, a.BitLen())
	}
	return e, nil
}

// stateNames returns the states of RFC 9293 and LISTEN, which comments say where a
// connection begins.
func stateNames() [11]string {
	return [...]string{"LISTEN", "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT", "CLOSED"}
}

// State adds packets that led into or out of a state, in the spelling of RFC 9293 or
// ss(8), or any.
func (f *Filter) State(name string) error {
	up := strings.ToUpper(name)
	switch up {
	case "ESTAB":
		up = "ESTABLISHED"
	case "SYN-RECV":
		up = "SYN-RECEIVED"
	case "LISTENING":
		up = "LISTEN"
	case "ANY":
		f.states = append(f.states, "any")
		return nil
	}
	if names := stateNames(); !slices.Contains(names[:], up) {
		return fmt.Errorf("%w: %q is no state; states are %s and any", ErrFilter, name, strings.ToLower(strings.Join(names[:], ", ")))
	}
	f.states = append(f.states, up)
	return nil
}

// Commit adds packets that led to a commit whose id begins so, or to any.
func (f *Filter) Commit(id string) error {
	id = strings.ToLower(id)
	if id != "any" && (len(id) < 4 || len(id) > 40 || strings.Trim(id, "0123456789abcdef") != "") {
		return fmt.Errorf("%w: %q is no commit; want 4 to 40 hexadecimal digits, or any", ErrFilter, id)
	}
	f.commits = append(f.commits, id)
	return nil
}

// Match reports whether a packet is to be shown: it satisfies, of each kind that
// was added, at least one.
func (f *Filter) Match(p *Packet) bool {
	return (len(f.Protos) == 0 || slices.Contains(f.Protos, p.Proto)) &&
		(len(f.connections) == 0 || slices.ContainsFunc(f.connections, func(c connectionFilter) bool { return c.match(p) })) &&
		(len(f.states) == 0 || slices.ContainsFunc(f.states, p.ledTo)) &&
		(len(f.commits) == 0 || slices.ContainsFunc(f.commits, p.committed)) &&
		(!f.Led || len(p.States)+len(p.Commits) > 0)
}

func (c connectionFilter) match(p *Packet) bool {
	a, b := p.Ends()
	if len(c) == 1 {
		return c[0].match(a) || c[0].match(b)
	}
	return c[0].match(a) && c[1].match(b) || c[0].match(b) && c[1].match(a)
}

func (e endFilter) match(end End) bool {
	return end.Addr.IsValid() && (!e.net.IsValid() || e.net.Contains(end.Addr)) && (e.port == 0 || e.port == end.Port)
}

func (p *Packet) ledTo(state string) bool {
	return slices.ContainsFunc(p.States, func(c Change) bool { return state == "any" || c.From == state || c.To == state })
}

func (p *Packet) committed(id string) bool {
	return slices.ContainsFunc(p.Commits, func(c string) bool { return id == "any" || strings.HasPrefix(c, id) })
}

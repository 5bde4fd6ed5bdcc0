package sockstat

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// ErrFilter is wrapped by what ParseFilter refuses.
var ErrFilter = errors.New("not a filter")

// Filter says which sockets are shown.
type Filter struct {
	// States are those of the sockets, as Socket.State has them.
	States []string
	test   func(*Socket) bool // nil: all
}

// Match reports whether s is to be shown.
func (f *Filter) Match(s *Socket) bool {
	return slices.Contains(f.States, s.State) && (f.test == nil || f.test(s))
}

// states returns the states that a word of ss(8) means: a state, in its
// spelling or in that of RFC 9293, or a group of states.
func states(word string) []string {
	open := []string{"ESTAB", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING", "LAST-ACK"}
	switch word = strings.ToLower(word); word {
	case "all":
		return append(open, "SYN-SENT", "SYN-RECV", "TIME-WAIT", "LISTEN", "UNCONN", "CLOSED")
	case "connected":
		return append(open, "SYN-SENT", "SYN-RECV", "TIME-WAIT")
	case "synchronized":
		return append(open, "SYN-RECV", "TIME-WAIT")
	case "bucket":
		return []string{"SYN-RECV", "TIME-WAIT"}
	case "big":
		return append(open, "SYN-SENT", "LISTEN", "UNCONN", "CLOSED")
	case "established", "estab":
		return []string{"ESTAB"}
	case "syn-recv", "syn-received":
		return []string{"SYN-RECV"}
	case "listening", "listen":
		return []string{"LISTEN"}
	case "unconnected", "unconn":
		return []string{"UNCONN"}
	case "syn-sent", "fin-wait-1", "fin-wait-2", "time-wait", "close-wait", "last-ack", "closing", "closed":
		return []string{strings.ToUpper(word)}
	}
	return nil
}

// Default is the filter without words: connections that are open or being
// opened by us; with listening, sockets that wait for others instead; with all,
// both and the rest.
func Default(listening, all bool) Filter {
	switch {
	case all:
		return Filter{States: states("all")}
	case listening:
		return Filter{States: []string{"LISTEN", "UNCONN"}}
	}
	return Filter{States: slices.DeleteFunc(states("connected"), func(s string) bool { return s == "SYN-RECV" || s == "TIME-WAIT" })}
}

// ParseFilter reads the words behind ss: any number of "state NAME" and "exclude
// NAME", then an expression of src and dst (an address, with a length or a port
// or both), sport and dport (an operator and a port), and, or, not and
// parentheses. Without states those of f stay. Words may be joined as a shell
// joins what is quoted.
func ParseFilter(f Filter, words []string) (Filter, error) {
	p := parser{words: tokens(strings.Join(words, " "))}
	chosen := false
	for p.peek() == "state" || p.peek() == "exclude" {
		verb, word := p.next(), p.next()
		found := states(word)
		switch {
		case found == nil:
			return f, fmt.Errorf("%w: %q is no state; states are established, syn-sent, syn-recv, fin-wait-1, fin-wait-2, time-wait, close-wait, last-ack, closing, listening, unconnected, closed, all, connected, synchronized, bucket and big", ErrFilter, word)
		case verb == "exclude":
			if !chosen {
				f.States = states("all")
			}
			f.States = slices.DeleteFunc(f.States, func(s string) bool { return slices.Contains(found, s) })
		case !chosen:
			f.States = found
		default:
			f.States = append(f.States, found...)
		}
		chosen = true
	}
	if p.peek() == "" {
		return f, nil
	}
	test, err := p.or(0)
	if err == nil && p.peek() != "" {
		err = fmt.Errorf("%w: %q is one word too many", ErrFilter, p.peek())
	}
	f.test = test
	return f, err
}

// tokens cuts a filter into words, parentheses and operators.
func tokens(s string) (out []string) {
	special := func(c byte) bool { return strings.IndexByte("()!=<>", c) >= 0 }
	for i := 0; i < len(s); {
		j := i + 1
		switch {
		case s[i] == ' ' || s[i] == '\t' || s[i] == '\n':
			i++
			continue
		case s[i] == '(' || s[i] == ')':
		case special(s[i]):
			if j < len(s) && s[j] == '=' {
				j++
			}
		default:
			for j < len(s) && s[j] != ' ' && s[j] != '\t' && s[j] != '\n' && !special(s[j]) {
				j++
			}
		}
		out = append(out, s[i:j])
		i = j
	}
	return out
}

// maxDepth bounds parentheses within parentheses.
const maxDepth = 64

type parser struct{ words []string }

func (p *parser) peek() string {
	if len(p.words) == 0 {
		return ""
	}
	return p.words[0]
}

func (p *parser) next() string {
	w := p.peek()
	if w != "" {
		p.words = p.words[1:]
	}
	return w
}

type test = func(*Socket) bool

func (p *parser) or(depth int) (test, error) {
	a, err := p.and(depth)
	for err == nil && slices.Contains([]string{"or", "|", "||"}, p.peek()) {
		p.next()
		var b test
		left := a
		b, err = p.and(depth)
		a = func(s *Socket) bool { return left(s) || b(s) }
	}
	return a, err
}

// and reads terms with "and" or nothing between them.
func (p *parser) and(depth int) (test, error) {
	a, err := p.term(depth)
	for err == nil && !slices.Contains([]string{"", ")", "or", "|", "||"}, p.peek()) {
		if slices.Contains([]string{"and", "&", "&&"}, p.peek()) {
			p.next()
		}
		var b test
		left := a
		b, err = p.term(depth)
		a = func(s *Socket) bool { return left(s) && b(s) }
	}
	return a, err
}

func (p *parser) term(depth int) (test, error) {
	switch word := p.next(); word {
	case "not", "!":
		if depth == maxDepth {
			return nil, fmt.Errorf("%w: too deep", ErrFilter)
		}
		t, err := p.term(depth + 1)
		return func(s *Socket) bool { return !t(s) }, err
	case "(":
		if depth == maxDepth {
			return nil, fmt.Errorf("%w: too deep", ErrFilter)
		}
		t, err := p.or(depth + 1)
		if err == nil && p.next() != ")" {
			err = fmt.Errorf("%w: a parenthesis is not closed", ErrFilter)
		}
		return t, err
	case "src", "dst":
		return p.address(word)
	case "sport", "dport":
		return p.port(word)
	case "":
		return nil, fmt.Errorf("%w: it ends too early", ErrFilter)
	case "state", "exclude":
		return nil, fmt.Errorf("%w: %s stands before what is said of addresses and ports", ErrFilter, word)
	default:
		return nil, fmt.Errorf("%w: %q; want state, exclude, src, dst, sport, dport, and, or, not or a parenthesis", ErrFilter, word)
	}
}

// end is the local end of s for src and sport, and the peer for dst and dport.
func end(s *Socket, word string) netip.AddrPort {
	if word[0] == 's' {
		return s.Local
	}
	return s.Peer
}

// address reads what follows src or dst: 10.0.0.1, 10.0.0.0/8, 10.0.0.1:80, :80
// or *:80.
func (p *parser) address(word string) (test, error) {
	if op := p.peek(); op == "=" || op == "==" {
		p.next()
	}
	text := p.next()
	host, port, hasPort := strings.Cut(text, ":")
	n := uint64(0)
	var err error
	if hasPort && port != "*" {
		if n, err = portNumber(port); err != nil {
			return nil, fmt.Errorf("%w: %s %s: %q is no port from 0 to 65535 and no name of one", ErrFilter, word, text, port)
		}
	}
	hasPort = hasPort && port != "*"
	if host == "" && text == "" {
		return nil, fmt.Errorf("%w: %s wants an address such as 10.0.0.0/8, 10.0.0.1:80 or :80", ErrFilter, word)
	}
	var network netip.Prefix
	if host != "" && host != "*" {
		if network, err = netip.ParsePrefix(host); err != nil {
			a, aerr := netip.ParseAddr(host)
			if aerr != nil {
				return nil, fmt.Errorf("%w: %s %s: %q is no address; names are not looked up", ErrFilter, word, text, host)
			}
			network = netip.PrefixFrom(a, a.BitLen())
		}
	}
	return func(s *Socket) bool {
		e := end(s, word)
		return (!network.IsValid() || network.Contains(e.Addr())) && (!hasPort || uint64(e.Port()) == n)
	}, nil
}

// portNumber returns a port, which may be given as the name of a service.
func portNumber(text string) (uint64, error) {
	if n, err := strconv.ParseUint(text, 10, 16); err == nil {
		return n, nil
	}
	if text == "" {
		return 0, ErrFilter // the resolver takes it for 0
	}
	n, err := net.LookupPort("tcp", text)
	return uint64(n), err
}

// comparison returns what an operator means, nil for what is none.
func comparison(op string) func(a, b uint64) bool {
	switch op {
	case "=", "==", "eq":
		return func(a, b uint64) bool { return a == b }
	case "!=", "ne", "neq":
		return func(a, b uint64) bool { return a != b }
	case "<", "lt":
		return func(a, b uint64) bool { return a < b }
	case "<=", "le", "leq":
		return func(a, b uint64) bool { return a <= b }
	case ">", "gt":
		return func(a, b uint64) bool { return a > b }
	case ">=", "ge", "geq":
		return func(a, b uint64) bool { return a >= b }
	}
	return nil
}

// port reads what follows sport or dport: an operator, = when there is none,
// and a port.
func (p *parser) port(word string) (test, error) {
	f := comparison(p.peek())
	if f != nil {
		p.next()
	} else {
		f = comparison("=")
	}
	text := p.next()
	n, err := portNumber(strings.TrimPrefix(text, ":"))
	if err != nil {
		return nil, fmt.Errorf("%w: %s %s: want an operator, one of = != < <= > >=, and a port from 0 to 65535 or the name of a service, such as %s = :80", ErrFilter, word, text, word)
	}
	return func(s *Socket) bool { return f(uint64(end(s, word).Port()), n) }, nil
}

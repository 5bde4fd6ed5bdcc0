package host

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// maxUDPAnswer is the room for an answer by UDP, in octets: a question of ours allows
// 512 (RFC 1035 §4.2.1), and what is longer comes cut off.
const maxUDPAnswer = 4096

// Query asks for all records of one type and class that a complete name has
// (RFC 1123 §6.1.4.2); a final dot may be left out. The aliases on the way to them
// stand among the records, and those of a type that package dnsmessage does not know
// are a dnsmessage.UnknownResource. A name without such records has none and is no
// error.
//
// The error is a *net.DNSError: IsNotFound when there is no such name, or none that
// servers are asked for, IsTemporary when no server could say, IsTimeout as well when
// time ran out, and none of them for what is no domain name. It wraps the cause.
func (r *Resolver) Query(ctx context.Context, name string, typ dnsmessage.Type, class dnsmessage.Class) ([]dnsmessage.Resource, error) {
	soft := func(err error) error {
		var t interface{ Timeout() bool }
		return &net.DNSError{UnwrapErr: err, Err: err.Error(), Name: name, IsTemporary: true, IsTimeout: errors.As(err, &t) && t.Timeout()}
	}
	if err := ctx.Err(); err != nil {
		return nil, soft(err)
	}
	query, err := question(name, typ, class)
	if err != nil {
		return nil, &net.DNSError{Err: err.Error(), Name: name}
	}
	if isUnder(name, "localhost") {
		return loopback(query), nil
	}
	if err := askable(query); err != nil {
		return nil, &net.DNSError{Err: err.Error(), Name: name, IsNotFound: true}
	}
	if len(r.Servers()) == 0 {
		return nil, soft(errNoServers)
	}
	type result struct {
		m   dnsmessage.Message
		err error
	}
	done := make(chan result, 1)
	go func() { // ends with the last server's time
		m, err := r.roundTrip(ctx, query)
		done <- result{m, err}
	}()
	var got result
	select {
	case got = <-done:
	case <-ctx.Done():
		return nil, soft(ctx.Err())
	}
	switch {
	case got.err != nil:
		return nil, soft(got.err)
	case got.m.RCode == dnsmessage.RCodeNameError:
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	case got.m.RCode != dnsmessage.RCodeSuccess:
		return nil, soft(fmt.Errorf("%w (%s)", errNoAnswer, strings.TrimPrefix(got.m.RCode.String(), "RCode")))
	}
	return got.m.Answers, nil
}

// question packs a question, whose id nobody can guess.
func question(name string, typ dnsmessage.Type, class dnsmessage.Class) ([]byte, error) {
	n, err := dnsmessage.NewName(strings.TrimSuffix(name, ".") + ".")
	if err != nil {
		return nil, err
	}
	var id [2]byte
	_, _ = rand.Read(id[:]) // never fails
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: binary.BigEndian.Uint16(id[:]), RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: n, Type: typ, Class: class}},
	}
	return m.Pack()
}

// roundTrip asks one server after the other by UDP, and by TCP for what was cut off.
func (r *Resolver) roundTrip(ctx context.Context, query []byte) (m dnsmessage.Message, err error) {
	end, _ := ctx.Deadline()
	x := &exchange{r: r, servers: r.Servers(), end: end}
	defer x.Close()
	if _, err := x.Write(query); err != nil {
		return m, err
	}
	b := make([]byte, maxUDPAnswer)
	for {
		n, err := x.Read(b)
		if err != nil {
			return m, err
		}
		err = m.Unpack(b[:n])
		switch {
		case m.Truncated: // perhaps amid a record, which cannot be read then
			return r.byTCP(ctx, query)
		case err == nil:
			return m, nil
		} // what cannot be read is no answer; another one may come
	}
}

// loopback answers a question about the machine itself: it has addresses and
// nothing else (RFC 6761 §6.3).
func loopback(query []byte) []dnsmessage.Resource {
	var m dnsmessage.Message
	_ = m.Unpack(query) // ours
	q := m.Questions[0]
	r := dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}}
	switch {
	case q.Class != dnsmessage.ClassINET:
		return nil
	case q.Type == dnsmessage.TypeA:
		r.Body = &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}
	case q.Type == dnsmessage.TypeAAAA:
		r.Body = &dnsmessage.AAAAResource{AAAA: netip.IPv6Loopback().As16()}
	default:
		return nil
	}
	return []dnsmessage.Resource{r}
}

// byTCP asks by TCP.
func (r *Resolver) byTCP(ctx context.Context, query []byte) (m dnsmessage.Message, err error) {
	c, err := r.dial(ctx, "tcp", "")
	if err != nil {
		return m, err
	}
	defer c.Close()
	end, _ := ctx.Deadline()
	if err := c.SetDeadline(time.Now().Add(r.share(end, 1))); err != nil {
		return m, err
	}
	if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)); err != nil {
		return m, err
	}
	var length [2]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return m, err
	}
	b := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(c, b); err != nil {
		return m, err
	}
	if judge(query, b) == answerForeign {
		return m, errNoAnswer
	}
	return m, m.Unpack(b)
}

// nearest puts addresses on the networks of our own interfaces first, and leaves the
// order alone otherwise (RFC 1123 §6.1.3.4).
func (r *Resolver) nearest(addrs []netip.Addr) []netip.Addr {
	var own []netip.Prefix
	for _, i := range r.stack.Interfaces() {
		own = append(own, i.Addresses()...)
	}
	far := func(a netip.Addr) int {
		if slices.ContainsFunc(own, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) }) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(addrs, func(a, b netip.Addr) int { return far(a) - far(b) })
	return addrs
}

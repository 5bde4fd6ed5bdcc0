package host_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"arpeggio/stack"
)

// nameServer is a name server on a stack of the test's.
type nameServer struct {
	zone map[string][]netip.Addr // by lower-case name, with the final dot

	// What it does wrong, or in its own way.
	silent    bool                                               // by UDP
	rcode     dnsmessage.RCode                                   // instead of an answer
	truncated bool                                               // by UDP, always
	before    func(pc net.PacketConn, reply []byte, to net.Addr) // it answers

	mu    sync.Mutex
	asked []string   // names, with "tcp " before those that came that way
	from  []net.Addr // by UDP
	query []byte     // the last one
}

func (ns *nameServer) log() []string {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	return slices.Clone(ns.asked)
}

// last returns the last query.
func (ns *nameServer) last() []byte {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	return ns.query
}

// serve answers on port 53 until the stack closes.
func (ns *nameServer) serve(t *testing.T, s *stack.Stack) {
	t.Helper()
	pc, err := s.ListenPacket("udp", ":53")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := s.Listen("tcp", ":53")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			reply := ns.answer(t, "", buf[:n])
			ns.mu.Lock()
			ns.from = append(ns.from, from)
			ns.mu.Unlock()
			if ns.before != nil {
				ns.before(pc, reply, from)
			}
			if !ns.silent {
				pc.WriteTo(reply, from)
			}
		}
	}()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go ns.serveTCP(t, c)
		}
	}()
}

func (ns *nameServer) serveTCP(t *testing.T, c net.Conn) {
	defer c.Close()
	for {
		var length [2]byte
		if _, err := io.ReadFull(c, length[:]); err != nil {
			return
		}
		q := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(c, q); err != nil {
			return
		}
		reply := ns.answer(t, "tcp ", q)
		c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
	}
}

// answer makes the reply to a query that came by the named way.
func (ns *nameServer) answer(t *testing.T, way string, query []byte) []byte {
	var p dnsmessage.Parser
	h, err := p.Start(query)
	if err != nil {
		t.Errorf("query: %v", err)
		return nil
	}
	q, err := p.Question()
	if err != nil {
		t.Errorf("question: %v", err)
		return nil
	}
	name := strings.ToLower(q.Name.String())
	ns.mu.Lock()
	ns.asked = append(ns.asked, way+name)
	ns.query = slices.Clone(query)
	ns.mu.Unlock()

	addrs, known := ns.zone[name]
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: h.ID, Response: true, RecursionDesired: true, RecursionAvailable: true, RCode: ns.rcode},
		Questions: []dnsmessage.Question{q},
	}
	switch {
	case ns.rcode != dnsmessage.RCodeSuccess:
	case !known:
		m.RCode = dnsmessage.RCodeNameError
	case ns.truncated && way == "":
		m.Truncated = true
	case q.Type == dnsmessage.TypeA:
		for _, a := range addrs {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60},
				Body:   &dnsmessage.AResource{A: a.As4()},
			})
		}
	case q.Type == 4242: // of which nobody knows the form
		for k := range len(addrs) {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 0},
				Body:   &dnsmessage.UnknownResource{Type: q.Type, Data: []byte{byte(k), byte(q.Class)}},
			})
		}
	case q.Type == dnsmessage.TypeTXT:
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60},
			Body:   &dnsmessage.TXTResource{TXT: []string{"text of " + name}},
		}}
	}
	b, err := m.Pack()
	if err != nil {
		t.Errorf("pack: %v", err)
	}
	return b
}

// answerNames is the whole name server of an example, until pc is closed.
func answerNames(pc net.PacketConn, zone map[string]netip.Addr) {
	buf := make([]byte, 2048)
	for {
		n, from, err := pc.ReadFrom(buf)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
			continue
		}
		q := m.Questions[0]
		reply := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, Authoritative: true}, Questions: m.Questions}
		if a, ok := zone[q.Name.String()]; ok {
			reply.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
				Body:   &dnsmessage.AResource{A: a.As4()},
			}}
		} else {
			reply.RCode = dnsmessage.RCodeNameError
		}
		if b, err := reply.Pack(); err == nil {
			pc.WriteTo(b, from)
		}
	}
}

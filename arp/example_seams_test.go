package arp_test

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
)

// journal is a Table that writes down what happens: any store of your own looks
// like this. Answering Get from somewhere is what makes bindings outlive the
// cache.
type journal struct{ *arp.MemTable }

func (j journal) Put(c arp.Change) {
	j.MemTable.Put(c)
	fmt.Println(c.Op, c.Key, c.MAC, "by", c.Rule)
}

func (j journal) Record(c arp.Change) { fmt.Println(c.Op, c.Key, c.MAC, "by", c.Rule) }

// ARP with another table: four methods, of which one is optional.
func ExampleRecorder() {
	me, other := ethernet.MustParseAddr("02:50:00:00:00:01"), ethernet.MustParseAddr("02:50:00:00:00:0a")
	s := arp.NewService(arp.Config{Table: journal{arp.NewMemTable()}, Move: arp.MoveStrict})
	defer s.Close()
	s.AttachLink("eth0", me, ethernet.VLAN{}, 1500, func(ethernet.Addr, ethernet.EtherType, []byte) error { return nil })
	s.AddressAdded(netip.MustParsePrefix("10.9.0.1/24"), nil)
	for _, mac := range []ethernet.Addr{other, ethernet.MustParseAddr("02:50:00:00:00:66")} {
		p := arp.Packet{Op: arp.OpRequest, SenderMAC: mac, SenderIP: netip.MustParseAddr("10.9.0.10"), TargetIP: netip.MustParseAddr("10.9.0.1")}
		s.HandleFrame(ethernet.Header{Dst: ethernet.Broadcast, Src: mac, Type: ethernet.TypeARP}, p.AppendTo(nil), time.Now())
	}
	// Output:
	// learned 10.9.0.10 02:50:00:00:00:0a by sender asked for us
	// refused 10.9.0.10 02:50:00:00:00:66 by strict
}

// host is a whole other stack, if a small one: it hands ARP the frames that
// arrive and asks it where to send. It implements no interface of ours.
type host struct {
	arp *arp.Service
	out chan string
}

func (h *host) receive(frame []byte) {
	if hdr, payload, err := ethernet.Parse(frame); err == nil && hdr.Type == ethernet.TypeARP {
		h.arp.HandleFrame(hdr, payload, time.Now())
	}
}

func (h *host) send(to netip.Addr, data string) {
	put := func(_ netip.Addr, mac ethernet.Addr, err error) { h.out <- fmt.Sprintf("%q to %v, %v", data, mac, err) }
	if mac, ok := h.arp.Resolve(to, put); ok {
		put(to, mac, nil)
	}
}

// ARP with another stack: five calls connect the two.
func ExampleService_otherStack() {
	me, other := ethernet.MustParseAddr("02:50:00:00:00:01"), ethernet.MustParseAddr("02:50:00:00:00:0a")
	h := &host{arp: arp.NewService(arp.Config{}), out: make(chan string)}
	defer h.arp.Close()
	h.arp.AttachLink("eth0", me, ethernet.VLAN{}, 1500, func(dst ethernet.Addr, _ ethernet.EtherType, b []byte) error {
		if p, _ := arp.Parse(b); p.Kind() == arp.KindRequest { // the other station answers
			a := arp.Packet{Op: arp.OpReply, SenderMAC: other, SenderIP: p.TargetIP, TargetMAC: me, TargetIP: p.SenderIP}
			hdr := ethernet.Header{Dst: me, Src: other, Type: ethernet.TypeARP}
			go h.receive(a.AppendTo(hdr.AppendTo(nil)))
		}
		return nil
	})
	h.arp.AddressAdded(netip.MustParsePrefix("10.9.0.1/24"), nil)
	go h.send(netip.MustParseAddr("10.9.0.10"), "hello")
	fmt.Println(<-h.out)
	// Output: "hello" to 02:50:00:00:00:0a, <nil>
}

// ARP with another link: whatever carries frames. Here two Services talk over a
// pipe that keeps message boundaries.
func ExampleService_AttachLink() {
	left, right := net.Pipe()
	connect := func(s *arp.Service, wire net.Conn, mac ethernet.Addr, own string) {
		s.AttachLink("pipe0", mac, ethernet.VLAN{}, 1500, func(dst ethernet.Addr, t ethernet.EtherType, b []byte) error {
			h := ethernet.Header{Dst: dst, Src: mac, Type: t}
			_, err := wire.Write(append(h.AppendTo(nil), b...))
			return err
		})
		go func() {
			frame := make([]byte, 1514)
			for {
				n, err := wire.Read(frame)
				if err != nil {
					return
				}
				if h, payload, err := ethernet.Parse(frame[:n]); err == nil && (h.Dst == mac || h.Dst.IsMulticast()) {
					// A pipe has no buffer: answer beside the reading.
					b := append([]byte(nil), payload...)
					go s.HandleFrame(h, b, time.Now())
				}
			}
		}()
		s.AddressAdded(netip.MustParsePrefix(own), nil)
	}
	a, b := arp.NewService(arp.Config{AnnounceNum: -1}), arp.NewService(arp.Config{AnnounceNum: -1})
	connect(a, left, ethernet.MustParseAddr("02:50:00:00:00:0a"), "10.9.0.1/24")
	connect(b, right, ethernet.MustParseAddr("02:50:00:00:00:0b"), "10.9.0.2/24")
	found := make(chan ethernet.Addr)
	a.Resolve(netip.MustParseAddr("10.9.0.2"), func(_ netip.Addr, mac ethernet.Addr, _ error) { found <- mac })
	fmt.Println(<-found)
	a.Close()
	b.Close()
	left.Close()
	right.Close()
	// Output: 02:50:00:00:00:0b
}

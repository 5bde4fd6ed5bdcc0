package lan

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"arpeggio/arp"
	"arpeggio/internal/node"
	"arpeggio/stack"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/vnet"
)

// deed bounds one visit or ping of a station.
const deed = 8 * time.Second

// station is a host that lives a life. Its methods belong to one goroutine;
// what it does on the network runs in others that end with it.
type station struct {
	lan  *LAN
	self int
	addr netip.Prefix
	life *life
	card int // number of its present network card

	port *vnet.Port
	node *node.Node     // nil while it is away
	work sync.WaitGroup // visits and pings
}

// mac returns the address of the station's present card. All stations share a
// prefix, as a site with one make of computers does.
func (s *station) mac() ethernet.Addr {
	a := ethernet.Addr{0x02, 0x50}
	binary.BigEndian.PutUint16(a[2:], uint16(s.lan.cfg.Seed)+uint16(0x2a00))
	a[4], a[5] = byte(0x10+s.self), byte(1+s.card)
	return a
}

// run lives until ctx ends.
func (s *station) run(ctx context.Context, start time.Time) {
	defer s.leave()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		next := s.life.next()
		timer.Reset(time.Until(start.Add(next.at)))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if err := s.do(ctx, next); err != nil {
			s.lan.log.Warn("station", "address", s.addr.Addr(), "does", next.what.String(), "error", err)
		}
	}
}

func (s *station) do(ctx context.Context, what step) error {
	s.lan.log.Debug("station", "address", s.addr.Addr(), "mac", s.mac(), "does", what.what.String())
	switch what.what {
	case join:
		if s.node != nil {
			return nil
		}
		if err := s.enter(); err != nil {
			return err
		}
		s.visit(ctx)
	case fallSilent:
		s.leave()
	case changeCard:
		s.leave()
		if s.card++; s.life.temper.cards > 0 {
			s.card %= s.life.temper.cards
		}
		if err := s.enter(); err != nil {
			return err
		}
		s.ping(ctx, s.lan.cfg.Guest)
	default:
		if s.node != nil { // else the last card could not be plugged in
			return s.act(ctx, what)
		}
	}
	return nil
}

// act does what takes a card.
func (s *station) act(ctx context.Context, what step) error {
	switch what.what {
	case visit:
		s.visit(ctx)
	case ping:
		s.ping(ctx, s.lan.cfg.Guest)
	case ask:
		s.ping(ctx, s.lan.cfg.stationAddr(what.whom).Addr())
	case announce:
		s.node.ARP.AddressRemoved(s.addr.Addr())
		s.node.ARP.AddressAdded(s.addr, nil)
	case collide:
		return s.node.Interface.AddAddress(s.lan.cfg.stationAddr(what.whom))
	case yield:
		err := s.node.Interface.RemoveAddress(s.lan.cfg.stationAddr(what.whom).Addr())
		if !errors.Is(err, stack.ErrNoAddress) { // it may have gone with a changed card
			return err
		}
	}
	return nil
}

// enter plugs the present card in.
func (s *station) enter() error {
	port, err := s.lan.sw.Port(vnet.PortConfig{Name: fmt.Sprintf("station%d", s.self+1), Addr: s.mac()})
	if err != nil {
		return err
	}
	s.port = port
	s.node, err = node.Start(node.Config{
		Device: port, Addr: s.mac(), Addresses: []netip.Prefix{s.addr}, Gateway: s.lan.cfg.Gateway.Addr(),
		ARP: arp.Config{ExpireAfter: s.lan.cfg.ExpireAfter},
	})
	return err
}

// leave pulls the card out without a word.
func (s *station) leave() {
	if s.node == nil {
		return
	}
	s.port.SetUp(false) // the stack would reset its connections
	s.node.Close()
	s.work.Wait()
	s.node = nil
}

// visit fetches the appliance's first page, as a browser on that station would.
func (s *station) visit(ctx context.Context) {
	n, url := s.node, "http://"+netip.AddrPortFrom(s.lan.cfg.Guest, 80).String()+"/"
	s.work.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, deed)
		defer cancel()
		client := http.Client{Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				return n.Stack.DialContext(ctx, network, addr)
			},
			DisableKeepAlives: true,
		}}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return
		}
		req.Header.Set("User-Agent", "arpeggio-station")
		resp, err := client.Do(req)
		if err != nil {
			return // the appliance boots, or the station has left: life goes on
		}
		defer resp.Body.Close()
		io.Copy(io.Discard, resp.Body)
	})
}

func (s *station) ping(ctx context.Context, to netip.Addr) {
	n := s.node
	s.work.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, deed)
		defer cancel()
		n.Stack.Ping(ctx, to, 56) // whether it is answered is the other's affair
	})
}

package lan

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"arpeggio/arp"
	"arpeggio/internal/node"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/host"
	"arpeggio/stack/link"
	"arpeggio/stack/vnet"
)

// Config describes the neighbourhood. The zero value works.
type Config struct {
	Seed     uint64 // of the stations' lives and cards
	Stations int    // 12 when zero, at most 200; negative: none
	// Gateway is the gateway's address with the prefix of the whole network
	// (10.9.0.1/24 by default, at least a /24); Guest is the address that DHCP
	// gives to GuestMAC (to nobody when that is zero), 10.9.0.2. Stations follow
	// from 10.9.0.11 on.
	Gateway  netip.Prefix
	Guest    netip.Addr
	GuestMAC ethernet.Addr
	// ExpireAfter is how long the neighbours remember one another, 60 s.
	ExpireAfter time.Duration
	// Monitor sees every frame that enters the switch, for a capture; nil: nobody.
	Monitor func(port string, frame []byte, at time.Time)
	Logger  *slog.Logger // nil discards
}

// Defaults of Config.
const (
	DefaultStations = 12
	maxStations     = 200
	firstStation    = 11 // last octet of the first station's address
)

// GatewayMAC is the address of the gateway's card.
var GatewayMAC = ethernet.Addr{0x02, 0x50, 0x00, 0x00, 0x00, 0x01}

// LAN is a running neighbourhood.
type LAN struct {
	cfg     Config
	log     *slog.Logger
	sw      *vnet.Switch
	gateway *node.Node
	cancel  context.CancelFunc
	ctx     context.Context
	work    sync.WaitGroup

	mu    sync.Mutex
	plugs map[string]plug // by name
}

// plug is a device in a port of the switch.
type plug struct {
	dev  link.Device
	port *vnet.Attachment
}

// pull ends both. It may be called on the zero plug.
func (p plug) pull() {
	if p.port != nil {
		p.port.Close()
		p.dev.Close()
	}
}

// Start builds the switch and the gateway. The stations come with Populate.
func Start(cfg Config) (*LAN, error) {
	if cfg.Stations == 0 {
		cfg.Stations = DefaultStations
	}
	cfg.Stations = max(cfg.Stations, 0)
	if !cfg.Gateway.IsValid() {
		cfg.Gateway = netip.MustParsePrefix("10.9.0.1/24")
	}
	if !cfg.Guest.IsValid() {
		cfg.Guest = cfg.Gateway.Addr().Next()
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.ExpireAfter == 0 {
		cfg.ExpireAfter = time.Minute
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	l := &LAN{cfg: cfg, log: cfg.Logger, sw: vnet.New(vnet.Config{Seed: cfg.Seed}), plugs: map[string]plug{}}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	if cfg.Monitor != nil {
		l.sw.Monitor(cfg.Monitor)
	}
	if err := l.startGateway(); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// check refuses a network that does not hold everybody.
func (c *Config) check() error {
	if c.Stations > maxStations {
		return fmt.Errorf("lan: %d stations are too many for one network; at most %d", c.Stations, maxStations)
	}
	if !c.Gateway.Addr().Is4() || c.Gateway.Bits() > 24 {
		return fmt.Errorf("lan: the network %v is too small; it takes a /24 or more", c.Gateway)
	}
	if !c.Gateway.Contains(c.Guest) {
		return fmt.Errorf("lan: the guest's address %v is outside the network %v", c.Guest, c.Gateway.Masked())
	}
	for i := range c.Stations {
		if a := c.stationAddr(i).Addr(); a == c.Guest || a == c.Gateway.Addr() {
			return fmt.Errorf("lan: %v belongs to a station; they have %v and the %d addresses after it: choose another address or fewer stations",
				a, c.stationAddr(0).Addr(), c.Stations-1)
		}
	}
	return nil
}

func (l *LAN) startGateway() error {
	port, err := l.sw.Port(vnet.PortConfig{Name: "gateway", Addr: GatewayMAC})
	if err != nil {
		return err
	}
	l.gateway, err = node.Start(node.Config{
		Device: port, Addr: GatewayMAC, Addresses: []netip.Prefix{l.cfg.Gateway},
		ARP: arp.Config{ExpireAfter: l.cfg.ExpireAfter}, Logger: l.log,
	})
	if err != nil {
		return err
	}
	if err := l.startDHCP(); err != nil {
		return err
	}
	return l.startTime()
}

// Plug connects a device (the guest's card, seen from outside) to the switch.
// The LAN owns the device from now on, also after an error. Whatever was plugged
// in under that name is pulled out first: a machine that starts again takes the
// place of the one before, even when nobody has noticed that it ended.
func (l *LAN) Plug(name string, dev link.Device) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.plugs[name].pull()
	delete(l.plugs, name)
	if l.ctx.Err() != nil {
		dev.Close()
		return link.ErrClosed
	}
	port, err := l.sw.Attach(dev, vnet.PortConfig{Name: name})
	if err != nil {
		dev.Close()
		return err
	}
	l.plugs[name] = plug{dev, port}
	return nil
}

// Port opens a further port of the switch, for a host in this process.
func (l *LAN) Port(name string, addr ethernet.Addr) (link.Device, error) {
	return l.sw.Port(vnet.PortConfig{Name: name, Addr: addr})
}

// Populate lets the stations live from now on. It is called once, before Close.
func (l *LAN) Populate() {
	rng := rand.New(rand.NewPCG(l.cfg.Seed, 0))
	start := time.Now()
	for i, t := range tempers(rng, l.cfg.Stations) {
		s := &station{lan: l, self: i, addr: l.cfg.stationAddr(i), life: newLife(l.cfg.Seed, i, l.cfg.Stations, t)}
		l.work.Go(func() { s.run(l.ctx, start) })
	}
}

// stationAddr returns the address of the i-th station.
func (c *Config) stationAddr(i int) netip.Prefix {
	base := c.Gateway.Masked().Addr().As4()
	base[3] = byte(firstStation + i)
	return netip.PrefixFrom(netip.AddrFrom4(base), c.Gateway.Bits())
}

// Dial opens a TCP connection from the gateway to a port of the guest.
func (l *LAN) Dial(ctx context.Context, port uint16) (net.Conn, error) {
	return l.gateway.Stack.DialContext(ctx, "tcp", netip.AddrPortFrom(l.cfg.Guest, port).String())
}

// Guest returns the guest's address.
func (l *LAN) Guest() netip.Addr { return l.cfg.Guest }

// Close stops the stations and the gateway, pulls out what is plugged in, and
// waits for all of them.
func (l *LAN) Close() error {
	l.cancel()
	l.work.Wait()
	l.mu.Lock()
	for name, p := range l.plugs {
		p.pull()
		delete(l.plugs, name)
	}
	l.mu.Unlock()
	var err error
	if l.gateway != nil {
		err = l.gateway.Close()
	}
	return errors.Join(err, l.sw.Close())
}

// startDHCP lets the gateway hand out addresses: the guest's to the guest, those
// above the stations' to anybody else.
func (l *LAN) startDHCP() error {
	base := l.cfg.Gateway.Masked().Addr().As4()
	first, last := base, base
	first[3], last[3] = firstStation+maxStations, 254
	reserved := map[ethernet.Addr]netip.Addr{}
	if !l.cfg.GuestMAC.IsZero() {
		reserved[l.cfg.GuestMAC] = l.cfg.Guest
	}
	server, err := host.NewDHCPServer(host.DHCPServerConfig{
		Stack: l.gateway.Stack, Interface: l.gateway.Interface, Addr: l.cfg.Gateway, Router: l.cfg.Gateway.Addr(),
		First: netip.AddrFrom4(first), Last: netip.AddrFrom4(last),
		Reserved: reserved, NTP: []netip.Addr{l.cfg.Gateway.Addr()},
		Logger: l.log,
	})
	if err != nil {
		return err
	}
	l.work.Go(func() {
		if err := server.Run(l.ctx); err != nil {
			l.log.Error("the gateway's DHCP server", "error", err)
		}
	})
	return nil
}

// startTime lets the gateway tell the guest the time of this host: a guest's own
// clock goes astray, more so where its processor is emulated.
func (l *LAN) startTime() error {
	server, err := host.NewSNTPServer(host.SNTPServerConfig{Stack: l.gateway.Stack})
	if err != nil {
		return err
	}
	l.work.Go(func() {
		if err := server.Run(l.ctx); err != nil {
			l.log.Error("the gateway's time server", "error", err)
		}
	})
	return nil
}

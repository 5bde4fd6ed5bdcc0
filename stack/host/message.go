package host

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/insomniacslk/dhcp/rfc1035label"

	"arpeggio/stack/ethernet"
)

// messageType is DHCP option 53 (RFC 2132 §9.6).
type messageType byte

const (
	discover messageType = 1 + iota
	offer
	request
	decline
	ack
	nak
	release
	inform
)

// infinite is a lease time without end (RFC 2131 §3.3).
const infinite = time.Duration(0xffffffff) * time.Second

var (
	errNotDHCP = errors.New("host: not a DHCP message over Ethernet")
	broadcast  = netip.AddrFrom4([4]byte{255, 255, 255, 255})
)

// message is the part of a DHCP message that client and server use. Addresses
// that are absent or 0.0.0.0 are the zero Addr; times that are absent are zero.
type message struct {
	kind      messageType
	reply     bool // BOOTREPLY
	xid       [4]byte
	secs      uint16
	broadcast bool
	mac       ethernet.Addr
	ciaddr    netip.Addr
	yiaddr    netip.Addr
	giaddr    netip.Addr

	requested netip.Addr // option 50
	server    netip.Addr // option 54
	clientID  string     // option 61, octets
	bits      int        // option 1 as a prefix length; -1 when absent, -2 when not a mask
	routers   []netip.Addr
	dns       []netip.Addr
	ntp       []netip.Addr // option 42
	hostname  string
	domain    string
	reason    string        // option 56: why an address is refused or given back, for people
	search    []string      // option 119, read in replies
	mtu       int           // option 26; 0 when absent
	routes    []LeaseRoute  // option 121
	lease     time.Duration // option 51
	longest   int           // option 57 of a client that asks for configuration; 0 is 1500
	t1, t2    time.Duration // options 58 and 59
}

// parse decodes a message. What it returns refers to nothing in b.
func parse(b []byte) (message, error) {
	p, err := dhcpv4.FromBytes(b)
	if err != nil {
		return message{}, err
	}
	if p.HWType != iana.HWTypeEthernet || len(p.ClientHWAddr) != 6 || p.OpCode != dhcpv4.OpcodeBootRequest && p.OpCode != dhcpv4.OpcodeBootReply {
		return message{}, errNotDHCP
	}
	if err := overloaded(p.Options, b); err != nil {
		return message{}, err
	}
	for _, o := range p.Options {
		if len(o) > maxOption {
			return message{}, errOption
		}
	}
	kind := p.Options.Get(dhcpv4.OptionDHCPMessageType)
	if len(kind) != 1 || kind[0] < byte(discover) || kind[0] > byte(inform) {
		return message{}, errNotDHCP
	}
	m := message{
		kind: messageType(kind[0]), reply: p.OpCode == dhcpv4.OpcodeBootReply, xid: p.TransactionID, secs: p.NumSeconds,
		broadcast: p.IsBroadcast(), mac: ethernet.Addr(p.ClientHWAddr),
		ciaddr: addrOf(p.ClientIPAddr), yiaddr: addrOf(p.YourIPAddr), giaddr: addrOf(p.GatewayIPAddr),
		requested: addrOf(p.Options.Get(dhcpv4.OptionRequestedIPAddress)),
		server:    addrOf(p.Options.Get(dhcpv4.OptionServerIdentifier)),
		clientID:  string(p.Options.Get(dhcpv4.OptionClientIdentifier)),
		bits:      maskBits(p.Options.Get(dhcpv4.OptionSubnetMask)),
		routers:   addrsOf(p.Options.Get(dhcpv4.OptionRouter)),
		dns:       serversOf(p.Options.Get(dhcpv4.OptionDomainNameServer)),
		ntp:       serversOf(p.Options.Get(dhcpv4.OptionNTPServers)),
		hostname:  text(p.Options.Get(dhcpv4.OptionHostName)),
		domain:    text(p.Options.Get(dhcpv4.OptionDomainName)),
		reason:    text(p.Options.Get(dhcpv4.OptionMessage)),
		mtu:       number16(p.Options.Get(dhcpv4.OptionInterfaceMTU)),
		routes:    routesOf(p.Options.Get(dhcpv4.OptionClasslessStaticRoute)),
		lease:     seconds(p.Options.Get(dhcpv4.OptionIPAddressLeaseTime)),
		t1:        seconds(p.Options.Get(dhcpv4.OptionRenewTimeValue)),
		t2:        seconds(p.Options.Get(dhcpv4.OptionRebindingTimeValue)),
	}
	if m.reply {
		m.search = domains(p.Options.Get(dhcpv4.OptionDNSDomainSearchList))
	}
	return m, nil
}

// parameters are what a client asks for (option 55). Classless routes come before
// the router (RFC 3442).
var parameters = []byte{1, 121, 3, 6, 12, 15, 26, 42, 51, 54, 58, 59, 119}

// encode writes a message; wants adds the options of a client that asks for
// configuration.
func (m message) encode(wants bool) []byte {
	p := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootRequest, HWType: iana.HWTypeEthernet, TransactionID: m.xid, NumSeconds: m.secs,
		ClientHWAddr: m.mac[:], ClientIPAddr: ip(m.ciaddr), YourIPAddr: ip(m.yiaddr),
		ServerIPAddr: net.IPv4zero, GatewayIPAddr: ip(m.giaddr), Options: dhcpv4.Options{},
	}
	if m.reply {
		p.OpCode = dhcpv4.OpcodeBootReply
	}
	if m.broadcast {
		p.SetBroadcast()
	}
	set := func(code dhcpv4.OptionCode, v []byte) {
		if len(v) > 0 {
			p.Options[code.Code()] = v
		}
	}
	set(dhcpv4.OptionDHCPMessageType, []byte{byte(m.kind)})
	set(dhcpv4.OptionRequestedIPAddress, octets(m.requested))
	set(dhcpv4.OptionServerIdentifier, octets(m.server))
	set(dhcpv4.OptionClientIdentifier, []byte(m.clientID))
	set(dhcpv4.OptionHostName, []byte(m.hostname))
	set(dhcpv4.OptionDomainName, []byte(m.domain))
	set(dhcpv4.OptionMessage, []byte(m.reason))
	if len(m.search) > 0 {
		set(dhcpv4.OptionDNSDomainSearchList, (&rfc1035label.Labels{Labels: m.search}).ToBytes())
	}
	if m.mtu > 0 {
		set(dhcpv4.OptionInterfaceMTU, binary.BigEndian.AppendUint16(nil, uint16(m.mtu)))
	}
	set(dhcpv4.OptionClasslessStaticRoute, routeOctets(m.routes))
	set(dhcpv4.OptionRouter, octets(m.routers...))
	set(dhcpv4.OptionDomainNameServer, octets(m.dns...))
	set(dhcpv4.OptionNTPServers, octets(m.ntp...))
	if m.bits > 0 {
		set(dhcpv4.OptionSubnetMask, net.CIDRMask(m.bits, 32))
	}
	for code, d := range map[dhcpv4.OptionCode]time.Duration{
		dhcpv4.OptionIPAddressLeaseTime: m.lease, dhcpv4.OptionRenewTimeValue: m.t1, dhcpv4.OptionRebindingTimeValue: m.t2,
	} {
		if d > 0 {
			set(code, binary.BigEndian.AppendUint32(nil, uint32(min(d, infinite)/time.Second)))
		}
	}
	if wants {
		set(dhcpv4.OptionParameterRequestList, parameters)
		set(dhcpv4.OptionMaximumDHCPMessageSize, binary.BigEndian.AppendUint16(nil, uint16(max(m.longest, 1500))))
	}
	return p.ToBytes()
}

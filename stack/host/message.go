package host

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

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
	lease     time.Duration // option 51
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
		dns:       addrsOf(p.Options.Get(dhcpv4.OptionDomainNameServer)),
		ntp:       addrsOf(p.Options.Get(dhcpv4.OptionNTPServers)),
		hostname:  text(p.Options.Get(dhcpv4.OptionHostName)),
		domain:    text(p.Options.Get(dhcpv4.OptionDomainName)),
		lease:     seconds(p.Options.Get(dhcpv4.OptionIPAddressLeaseTime)),
		t1:        seconds(p.Options.Get(dhcpv4.OptionRenewTimeValue)),
		t2:        seconds(p.Options.Get(dhcpv4.OptionRebindingTimeValue)),
	}
	return m, nil
}

// parameters are what a client asks for (option 55).
var parameters = []byte{1, 3, 6, 12, 15, 42, 51, 54, 58, 59}

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
		set(dhcpv4.OptionMaximumDHCPMessageSize, binary.BigEndian.AppendUint16(nil, 1500))
	}
	return p.ToBytes()
}

func ip(a netip.Addr) net.IP {
	if !a.IsValid() {
		return net.IPv4zero
	}
	return a.AsSlice()
}

func addrOf(b []byte) netip.Addr {
	if len(b) != 4 || b[0]|b[1]|b[2]|b[3] == 0 {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte(b))
}

// addrsOf reads a list of addresses; one whose length is no multiple of four is
// no list.
func addrsOf(b []byte) (as []netip.Addr) {
	if len(b)%4 != 0 {
		return nil
	}
	for ; len(b) >= 4; b = b[4:] {
		if a := addrOf(b[:4]); a.IsValid() {
			as = append(as, a)
		}
	}
	return as
}

func octets(as ...netip.Addr) (b []byte) {
	for _, a := range as {
		if a.Is4() {
			b = append(b, a.AsSlice()...)
		}
	}
	return b
}

func maskBits(b []byte) int {
	if len(b) == 0 {
		return -1
	}
	if len(b) != 4 {
		return -2
	}
	v := binary.BigEndian.Uint32(b)
	n := bits.LeadingZeros32(^v)
	if v<<n != 0 {
		return -2
	}
	return n
}

func seconds(b []byte) time.Duration {
	if len(b) != 4 {
		return 0
	}
	return time.Duration(binary.BigEndian.Uint32(b)) * time.Second
}

// text reads a string option: some servers end it with NULs, and one with
// other control characters is not a name.
func text(b []byte) string {
	s := strings.TrimRight(string(b), "\x00")
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return ""
		}
	}
	return s
}

package vendors

import "arpeggio/stack/ethernet"

// Local names a locally administered address that no range below explains: a
// random one, as phones use, or one that somebody has set.
const Local = "local"

// span is a range of addresses: those whose first bits are those of prefix.
type span struct {
	prefix ethernet.Addr
	bits   uint
	name   string
}

// spans are the ranges whose name is not, or not usefully, in the registry; the
// first one that fits counts.
var spans = [...]span{
	{ethernet.Broadcast, 48, "broadcast"},
	{ethernet.Addr{0x01, 0x00, 0x5e}, 25, "IPv4 multicast"},           // RFC 1112 §6.4
	{ethernet.Addr{0x33, 0x33}, 16, "IPv6 multicast"},                 // RFC 2464 §7
	{ethernet.Addr{0x00, 0x00, 0x5e, 0x00, 0x01}, 40, "VRRP or CARP"}, // RFC 9568 §7.3
	{ethernet.Addr{0x00, 0x00, 0x5e, 0x00, 0x02}, 40, "VRRP (IPv6)"},
	{ethernet.Addr{0x00, 0x00, 0x0c, 0x07, 0xac}, 40, "HSRP"}, // RFC 2281 §4
	{ethernet.Addr{0x00, 0x00, 0x0c, 0x9f, 0xf0}, 36, "HSRP"}, // version 2
	{ethernet.Addr{0x00, 0x05, 0x73, 0xa0}, 36, "HSRP"},       // version 2, IPv6
	{ethernet.Addr{0x00, 0x07, 0xb4, 0x00}, 32, "GLBP"},
	{ethernet.Addr{0x02, 0xbf}, 16, "Microsoft NLB"},
	{ethernet.Addr{0x52, 0x54, 0x00}, 24, "QEMU/KVM"},
	{ethernet.Addr{0x02, 0x42}, 16, "Docker"},
	{ethernet.Addr{0x0a, 0x58}, 16, "Kubernetes"}, // the CNI bridge plugin, OVN
	{ethernet.Addr{0xee, 0xee, 0xee, 0xee, 0xee, 0xee}, 48, "Calico"},
	{ethernet.Addr{0x00, 0x16, 0x3e}, 24, "Xen"},
	{ethernet.Addr{0x08, 0x00, 0x27}, 24, "VirtualBox"},
	{ethernet.Addr{0x00, 0x15, 0x5d}, 24, "Hyper-V"},
}

// special returns the name of the range that an address is in.
func special(a ethernet.Addr) string {
	v := number(a)
	for i := range spans {
		s := &spans[i]
		if v>>(48-s.bits) == number(s.prefix)>>(48-s.bits) {
			return s.name
		}
	}
	if a.IsMulticast() {
		return "multicast"
	}
	return ""
}

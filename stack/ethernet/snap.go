package ethernet

import "encoding/binary"

// Bounds of an IEEE 802.3 length field in octets.
const (
	maxLength = 1500 // more is an EtherType, or nothing
	snapLen   = 8    // LLC, organization code and EtherType
)

// snap is how a packet begins whose EtherType follows (RFC 1042): the service
// access points 170, unnumbered information, and the organization code 0.
var snap = [6]byte{0xaa, 0xaa, 3, 0, 0, 0}

// SNAP looks for a packet of RFC 1042 in the body of a frame for which Parse has
// returned h and ErrLength. With ok, typ is its EtherType and payload, which
// aliases body, is what the frame's length field counts behind that: padding is
// left out. Other LLC frames, those cut short, and lengths that are none are not ok.
func SNAP(h *Header, body []byte) (typ EtherType, payload []byte, ok bool) {
	n := int(h.Type)
	if n < snapLen || n > maxLength || n > len(body) || [6]byte(body) != snap {
		return 0, nil, false
	}
	typ = EtherType(binary.BigEndian.Uint16(body[6:]))
	return typ, body[snapLen:n], typ >= 0x0600
}

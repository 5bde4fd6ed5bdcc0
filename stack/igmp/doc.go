// Package igmp is the host's part of the Internet Group Management Protocol,
// versions 1 to 3 (RFC 1112, RFC 2236, RFC 3376), as pure code: the message
// codec, the source filters of sockets and interfaces, and Host, which tells the
// routers of one network which groups its machine wants to hear. Host is handed
// the time and emits messages; it opens nothing, locks nothing and logs nothing.
package igmp

import (
	"errors"
	"net/netip"
	"time"
)

// Version of the protocol, 1 to 3.
type Version uint8

// Numbers that RFC 3376 §8 recommends.
const (
	DefaultRobustness    = 2                 // §8.1
	DefaultQueryInterval = 125 * time.Second // §8.2
	DefaultQueryResponse = 10 * time.Second  // §8.3
	unsolicited3         = time.Second       // §8.11
	unsolicited2         = 10 * time.Second  // RFC 2236 §8.10
	maxResponse1         = 10 * time.Second  // RFC 3376 §4.1.1, of a version 1 query
)

// Errors of Parse and Host.Input.
var (
	ErrShort    = errors.New("igmp: message shorter than its form")
	ErrChecksum = errors.New("igmp: checksum does not match")
	ErrType     = errors.New("igmp: unknown message type")
	ErrGroup    = errors.New("igmp: not a group address, or sources without one")
)

// Where messages go.
var (
	AllSystems = netip.AddrFrom4([4]byte{224, 0, 0, 1})  // general queries; never reported (RFC 3376 §6)
	AllRouters = netip.AddrFrom4([4]byte{224, 0, 0, 2})  // Leave (RFC 2236 §3)
	AllReports = netip.AddrFrom4([4]byte{224, 0, 0, 22}) // ReportV3 (RFC 3376 §4.2.14)
)

// Package capture records frames and reads recordings: a wrapper that makes a
// pcapng file of everything a link.Device carries, and readers for pcapng and
// classic pcap.
//
// The block encoding is our own in both directions. google/gopacket's pcapng
// writer has no packet comments and no direction flags; its readers panic on
// short options, allocate what a damaged length asks for, and keep link types
// in eight bits; and with its layers package it adds 1.7 MB and start-up work to
// a binary that boots in a small machine. gopacket remains the independent
// oracle in this package's tests.
package capture

import (
	"errors"
	"net/netip"
	"time"
)

// ErrFormat is returned for input that is not a capture file, or that is
// damaged in a way that hides where the next packet begins.
var ErrFormat = errors.New("capture: not a readable pcap or pcapng file")

// LinkType says what a packet begins with (the LINKTYPE_ registry of
// tcpdump.org).
type LinkType uint16

// LinkTypeEthernet is an Ethernet frame without preamble and check sequence.
const LinkTypeEthernet LinkType = 1

// Interface describes where packets were captured.
type Interface struct {
	Name        string
	Description string
	LinkType    LinkType
	SnapLen     int // octets kept of a packet; 0 means all
	// Networks are the interface's own addresses with the lengths of their
	// prefixes, where that is known.
	Networks []netip.Prefix
}

// Direction says which way a packet went.
type Direction uint8

const (
	Unknown Direction = iota
	In                // received
	Out               // sent
)

// Packet is one recorded packet.
type Packet struct {
	Time      time.Time // zero when the file does not say (simple packet blocks)
	Interface int       // index of the interface, from 0
	LinkType  LinkType  // of that interface; WritePacket ignores it
	Direction Direction
	Data      []byte // what was kept of it
	Length    int    // its length on the wire in octets; WritePacket takes 0 for len(Data)
	Comment   string // free text, "" for none
	// Dropped is how many packets of this interface were lost, by the interface
	// or the system, between the one before and this one.
	Dropped uint64
}

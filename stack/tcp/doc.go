// Package tcp is the Transmission Control Protocol (RFC 9293) as a pure state
// machine, with the segment codec beside it.
//
// A Conn has three verbs: Input takes a received segment, Output emits the
// segments that are due, Deadline says when Output must be called again
// although nothing arrived. Between them stand the user's calls: Read, Write,
// CloseWrite and so on. The machine holds no clock, lock, goroutine or socket,
// and allocates nothing while data flow: time is an argument, buffers come from
// a Pool that the owner shares among connections, and a segment handed to emit
// points into the send queue. One owner calls one Conn at a time.
//
// After every call that changes something (Input, Read, Write, the Close
// family, the setters) the owner calls Output, at once or after a batch of
// such calls; acknowledgments, window updates and data go out together there.
// While a connection is Disordered, or Hurried, it does so after each Input.
//
// The machine is family-neutral: it knows addresses only as netip.AddrPort and
// leaves checksums, and the pseudo-header they include, to its owner.
// Listening is the owner's business too: it creates a Conn with NewPassive for
// a SYN that it wants, and answers other segments with ResetFor.
//
// What is here: all of RFC 9293, window scale, timestamps and PAWS (RFC 7323),
// SACK (RFC 2018, sending D-SACK by RFC 2883), loss detection by time with tail
// loss probes (RACK-TLP, RFC 8985), on which the recovery of RFC 6675 rests, or,
// without SACK, that of RFC 6582 with limited transmit (RFC 3042), proportional
// rate reduction (RFC 9937), detection of spurious timeouts (F-RTO, RFC 5682) and
// of spurious recoveries (RFC 3522, RFC 3708), which are undone,
// RTO by RFC 6298, initial window by RFC 6928, Reno (RFC 5681) and CUBIC
// (RFC 9438) with HyStart++ (RFC 9406), defence against blind attacks (RFC 5961,
// RFC 5927), TIME-WAIT reuse (RFC 6191), congestion notification (ECN, RFC 3168),
// SYN cookies (RFC 4987), Fast Open (RFC 7413), path MTU discovery without ICMP
// (RFC 4821), pacing within a bound.
package tcp

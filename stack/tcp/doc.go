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
//
// The machine is family-neutral: it knows addresses only as netip.AddrPort and
// leaves checksums, and the pseudo-header they include, to its owner.
// Listening is the owner's business too: it creates a Conn with NewPassive for
// a SYN that it wants, and answers other segments with ResetFor.
package tcp

// Package host holds what a host needs besides a stack: a DHCP client that gives
// an interface its address (RFC 2131), a small DHCP server for a network of our
// own, and the small services by which hosts are tested (RFC 862 to 864, 867).
//
// Client and server are pure engines (a message or the passing of time goes in,
// messages and a deadline come out) in shells of one goroutine, which talk over
// a PacketConn: the stack's own UDP in service, anything in tests.
package host

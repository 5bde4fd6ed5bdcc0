// Package host holds what a host needs besides a stack: a DHCP client that gives
// an interface its address (RFC 2131, 3927, 3442), a Resolver that turns names
// into addresses through the stack (RFC 1035), an SNTP client for the clock (RFC
// 4330), small DHCP and SNTP servers for a network of our own, and the small
// services by which hosts are tested (RFC 862 to 864, 867).
//
// DHCP client and server are pure engines (a message or the passing of time goes in,
// messages and a deadline come out) in shells of one goroutine, which talk over
// a PacketConn: the stack's own UDP in service, anything in tests.
package host

// Package socketagent lets test suites drive our stack as they drive a kernel:
// it executes BSD socket calls that come over a Unix stream socket. It is a test
// aid, and whoever can connect to the Unix socket can do what the stack can.
//
// One request at a time per connection of the Unix socket; connections share one
// descriptor table, and a call that waits keeps only its own connection. All
// integers are little endian; an address is an IPv4 address and a port in
// network order, six octets; connect without one is that with AF_UNSPEC.
//
//	request:  u32 operation, s32 arguments[5], u32 n, n octets
//	reply:    s32 result, s32 errno, u32 n, n octets
//
// Operations, with the numbers, flags, options and errnos of Linux: 1 socket,
// 2 bind, 3 listen, 4 accept, 5 connect, 6 recv, 7 send, 8 close, 9 shutdown,
// 10 getsockopt, 11 setsockopt, 12 fcntl, 13 poll, 14 ioctl, 15 sendto,
// 16 getsockname, 17 recvfrom, 18 getpeername, and 99, which aborts and closes
// everything.
package socketagent

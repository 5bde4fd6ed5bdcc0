package tcp

// For the tests of package tcp_test, which may import those that import tcp.
var (
	CheckInvariants = checkInvariants
	CheckSize       = checkSize
)

package tcp

// Flags are the control bits of a segment (RFC 9293 §3.1).
type Flags uint8

// Control bits, in wire order.
const (
	FIN Flags = 1 << iota // no more data from sender
	SYN                   // synchronize sequence numbers
	RST                   // reset the connection
	PSH                   // push function
	ACK                   // acknowledgment field is significant
	URG                   // urgent pointer field is significant
	ECE                   // ECN echo (RFC 3168)
	CWR                   // congestion window reduced (RFC 3168)
)

// Has reports whether every bit of want is set.
func (f Flags) Has(want Flags) bool { return f&want == want }

// String lists the bits in tcpdump's letters: S F P R U E W and . for ACK.
func (f Flags) String() string {
	const letters = "FSRP.UEW"
	b := make([]byte, 0, len(letters))
	for i := range letters {
		if f&(1<<i) != 0 {
			b = append(b, letters[i])
		}
	}
	if len(b) == 0 {
		return "none"
	}
	return string(b)
}

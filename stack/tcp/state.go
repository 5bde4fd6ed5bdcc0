package tcp

// State is a state of the connection (RFC 9293 §3.3.2). LISTEN is missing: a
// listener is the owner's, and makes a Conn when a SYN arrives.
type State uint8

// The states, in the order of a life.
const (
	Closed State = iota
	SynSent
	SynReceived
	Established
	FinWait1
	FinWait2
	CloseWait
	Closing
	LastAck
	TimeWait
)

// String returns the state's name in the RFC's spelling.
func (s State) String() string {
	switch s {
	case Closed:
		return "CLOSED"
	case SynSent:
		return "SYN-SENT"
	case SynReceived:
		return "SYN-RECEIVED"
	case Established:
		return "ESTABLISHED"
	case FinWait1:
		return "FIN-WAIT-1"
	case FinWait2:
		return "FIN-WAIT-2"
	case CloseWait:
		return "CLOSE-WAIT"
	case Closing:
		return "CLOSING"
	case LastAck:
		return "LAST-ACK"
	case TimeWait:
		return "TIME-WAIT"
	}
	return "invalid"
}

// Synchronized reports whether both sides know each other's sequence numbers:
// ESTABLISHED and every later state (RFC 9293 §3.5.3).
func (s State) Synchronized() bool { return s >= Established }

package stack

import (
	"syscall"

	"arpeggio/stack/tcp"
)

// softErrors is where a connection reports what may be wrong with it while it
// goes on.
type softErrors struct {
	ch      chan<- error
	retries uint8 // that were reported
}

// NotifyErrors has ch sent what may be wrong while the connection, or its
// opening, goes on (RFC 9293 §3.9.1.8): the errno of an ICMP error that does not
// end it, EHOSTUNREACH when the next hop does not answer, and ETIMEDOUT when the
// third retransmission in a row went without an answer (R1, §3.8.3). Nobody
// waits for a receiver: give ch room. Nil, the default, switches it off.
func (c *TCPConn) NotifyErrors(ch chan<- error) error {
	return c.control("set", func(tcp.Instant) {
		if c.soft = nil; ch != nil {
			c.soft = &softErrors{ch: ch}
		}
	})
}

// report sends err; mu is held.
func (e *softErrors) report(err error) {
	if e == nil {
		return
	}
	select {
	case e.ch <- err:
	default:
	}
}

// reportRetries tells the user when R1 is reached, once until something is
// acknowledged.
func (c *TCPConn) reportRetries() {
	n := uint8(min(c.m.Retries(), 255))
	if n >= tcpR1 && c.soft.retries < tcpR1 {
		c.soft.report(syscall.ETIMEDOUT)
	}
	c.soft.retries = n
}

package host

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"arpeggio/stack"
)

// SNTPServerConfig configures an SNTPServer. Stack is required.
type SNTPServerConfig struct {
	Stack *stack.Stack
	// Now is the clock that is told; nil means time.Now.
	Now func() time.Time
}

// SNTPServer tells a network of our own the time of this process's clock, which it
// takes to be right (RFC 4330 §6). Its stratum is 10, so that any better server
// is preferred.
type SNTPServer struct{ cfg SNTPServerConfig }

// ntpLocalStratum is what servers with no better source than a local clock say.
const ntpLocalStratum = 10

// NewSNTPServer returns a server that does nothing until Run.
func NewSNTPServer(cfg SNTPServerConfig) (*SNTPServer, error) {
	if cfg.Stack == nil {
		return nil, errors.New("host: an SNTP server needs a Stack")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &SNTPServer{cfg}, nil
}

// Run answers on UDP port 123 until ctx ends (nil) or the stack does.
func (s *SNTPServer) Run(ctx context.Context) error {
	c, err := s.cfg.Stack.ListenPacket("udp4", fmt.Sprintf(":%d", ntpPort))
	if err != nil {
		return fmt.Errorf("host: SNTP: %w", err)
	}
	u := c.(*stack.UDPConn)
	stop := context.AfterFunc(ctx, func() { _ = u.Close() }) // ends the read
	defer stop()
	buf := make([]byte, 512)
	for {
		n, d, err := u.ReadDatagram(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return errors.Join(err, u.Close())
		}
		received := s.cfg.Now()
		if reply := ntpAnswer(buf[:n], received, s.cfg.Now); reply != nil {
			_, _ = u.Answer(d, reply) // as one that is lost on the way
		}
	}
}

// ntpAnswer returns the answer to a client's request of any version since 1, nil to
// anything else: a server that answered those could be made to talk to another.
func ntpAnswer(request []byte, received time.Time, now func() time.Time) []byte {
	if len(request) < ntpLen || request[0]&7 != ntpClient {
		return nil
	}
	version := request[0] >> 3 & 7
	if version < 1 || version > ntpVersion {
		return nil
	}
	b := make([]byte, ntpLen)
	b[0], b[1], b[2] = version<<3|ntpServer, ntpLocalStratum, request[2]
	b[3] = 0xec // precision: 2^-20 s
	copy(b[12:], "LOCL")
	putNTPTime(b[16:], received)
	copy(b[24:32], request[40:48])
	putNTPTime(b[32:], received)
	putNTPTime(b[40:], now())
	return b
}

// putNTPTime is the inverse of ntpTime.
func putNTPTime(b []byte, t time.Time) {
	binary.BigEndian.PutUint32(b, uint32(t.Unix()-ntpEpoch.Unix()))
	binary.BigEndian.PutUint32(b[4:], uint32(uint64(t.Nanosecond())<<32/1e9))
}

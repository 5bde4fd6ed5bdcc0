package host

import (
	"bytes"
	"net"
	"syscall"
	"testing"
)

// talker is a connection to a client that has talked before it was answered.
type talker struct {
	net.Conn
	unread int
	answer bytes.Buffer
}

func (t *talker) Write(p []byte) (int, error) { return t.answer.Write(p) }

func (t *talker) ReadNow(p []byte) (int, error) {
	if t.unread == 0 {
		return 0, syscall.EAGAIN
	}
	n := min(len(p), t.unread)
	t.unread -= n
	return n, nil
}

// What a client says before is thrown away: left unread, it would make the end of
// the connection a reset.
//
//rfc:867 discards
func TestDaytimeDiscards(t *testing.T) {
	c := &talker{unread: 100_000}
	daytime(c)
	if c.unread != 0 || c.answer.Len() < 20 {
		t.Errorf("%d octets are unread, and the answer is %q", c.unread, c.answer.Bytes())
	}
}

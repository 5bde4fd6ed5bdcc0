package host

import (
	"io"
	"net"
	"time"
)

// serviceBuffer is what a service reads at a time, in octets.
const serviceBuffer = 16 << 10

// echo sends back what comes (RFC 862); after the peer's FIN it closes.
func echo(c net.Conn) {
	buf := make([]byte, serviceBuffer)
	for {
		n, err := c.Read(buf)
		if n > 0 {
			if _, err := c.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// discard throws away what comes (RFC 863).
func discard(c net.Conn) {
	_, _ = io.CopyBuffer(io.Discard, onlyReader{c}, make([]byte, serviceBuffer))
}

// onlyReader hides every method but Read, so that the buffer is used.
type onlyReader struct{ io.Reader }

// daytime sends the time in the form that RFC 867 proposes, and closes. What has
// come until then is thrown away: unread, it would make the end a reset, which
// may overtake the answer. What comes later is for nobody, and is told so.
func daytime(c net.Conn) {
	_, _ = io.WriteString(c, time.Now().UTC().Format("Monday, January 2, 2006 15:04:05-MST")+"\r\n")
	if r, ok := c.(interface{ ReadNow(p []byte) (int, error) }); ok {
		for buf, err := make([]byte, serviceBuffer), error(nil); err == nil; {
			_, err = r.ReadNow(buf)
		}
	}
}

// chargen sends lines of 72 characters, each line one character further in the
// 95 printable ones, until the peer closes (RFC 864). What comes is thrown away.
func chargen(c net.Conn) {
	go func() {
		discard(c)
		c.Close() // ends a pending Write
	}()
	lines := chargenLines()
	for {
		if _, err := c.Write(lines); err != nil {
			return
		}
	}
}

// chargenLines returns one period of the pattern.
func chargenLines() []byte {
	const first, count, width = ' ', 95, 72
	p := make([]byte, 0, count*(width+2))
	for line := range count {
		for i := range width {
			p = append(p, byte(first+(line+i)%count))
		}
		p = append(p, '\r', '\n')
	}
	return p
}

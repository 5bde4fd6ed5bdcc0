package wiresuite

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strings"
	"time"
)

// serveOnKernel runs the small services on the sockets of this namespace.
func serveOnKernel() {
	go serveUDP(echo, func(c net.PacketConn, b []byte, from net.Addr) { c.WriteTo(b, from) })
	go serveUDP(command, func(_ net.PacketConn, b []byte, _ net.Addr) {
		f := strings.Fields(string(b))
		if len(f) != 3 || f[0] != "dial" {
			return
		}
		go func() {
			d := net.Dialer{KeepAlive: -1}
			if c, err := d.Dial("tcp4", net.JoinHostPort(f[1], f[2])); err == nil {
				_ = c.(*net.TCPConn).SetNoDelay(false)
				echoOn(c)
				c.Close()
			}
		}()
	})
	go serveTCP(echo, func(c net.Conn) { echoOn(c) })
	go serveTCP(discard, func(c net.Conn) { io.Copy(io.Discard, c) })
	go serveTCP(daytime, func(c net.Conn) { fmt.Fprintf(c, "%s\r\n", time.Now().Format(time.ANSIC)) })
	go serveTCP(chargen, func(c net.Conn) {
		line := bytes.Repeat([]byte("0123456789abcdefghijklmnopqrstuvwxyz"), 100)
		for {
			if _, err := c.Write(line); err != nil {
				return
			}
		}
	})
	select {}
}

// echoOn reads and writes: splice, which io.Copy would use, ends at urgent text.
func echoOn(c net.Conn) { io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c}) }

func serveUDP(port int, fn func(net.PacketConn, []byte, net.Addr)) {
	c, err := net.ListenPacket("udp4", fmt.Sprintf("0.0.0.0:%d", port))
	if err != nil {
		log.Print(err)
		os.Exit(1)
	}
	buf := make([]byte, 1<<16)
	for {
		n, from, err := c.ReadFrom(buf)
		if err == nil {
			fn(c, buf[:n], from)
		}
	}
}

func serveTCP(port int, fn func(net.Conn)) {
	lc := net.ListenConfig{KeepAlive: -1} // as the kernel has it, not as Go
	l, err := lc.Listen(context.Background(), "tcp4", fmt.Sprintf("0.0.0.0:%d", port))
	if err != nil {
		log.Print(err)
		os.Exit(1)
	}
	for {
		if c, err := l.Accept(); err == nil {
			_ = c.(*net.TCPConn).SetNoDelay(false)
			go func() { defer c.Close(); fn(c) }()
		}
	}
}

package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// The ports and the words of the original.
const (
	echoPort   = 443
	gossipPort = 4443

	clientLine = "please acknowledge my existence\n"
	gossipWord = "CONFIDENTIAL GOSSIP"
)

// act lets every host play its role until the time is up.
func act(ctx context.Context, hosts []*host, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	// Who starts conversations stops a little earlier, so that the last word
	// is heard.
	talking, hush := context.WithTimeout(ctx, d-time.Second)
	defer hush()
	var play sync.WaitGroup
	for _, h := range hosts {
		switch h.role {
		case server:
			ln, err := h.node.Stack.Listen("tcp", fmt.Sprintf(":%d", echoPort))
			if err != nil {
				h.fail(err)
				continue
			}
			h.work.Go(func() { h.echo(ln) })
			defer ln.Close()
		case listener:
			pc, err := h.node.Stack.ListenPacket("udp", fmt.Sprintf(":%d", gossipPort))
			if err != nil {
				h.fail(err)
				continue
			}
			h.work.Go(func() { h.listen(pc) })
			defer pc.Close()
		}
	}
	for _, h := range hosts {
		life := talking
		if h.leaves {
			var leave context.CancelFunc
			life, leave = context.WithTimeout(talking, leaveAfter)
			defer leave()
		}
		switch h.role {
		case client:
			play.Go(func() { h.talk(life) })
		case gossip:
			play.Go(func() { h.gossip(life) })
		}
	}
	play.Wait()
	<-ctx.Done()
}

func (h *host) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures = append(h.failures, err)
}

func (h *host) count(sent, received int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sent += sent
	h.received += received
}

// echo answers every line with itself.
func (h *host) echo(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		h.work.Go(func() {
			defer c.Close()
			for r := bufio.NewReader(c); ; {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				h.count(0, 1)
				if _, err := io.WriteString(c, line); err != nil {
					return
				}
				h.count(1, 0)
			}
		})
	}
}

// talk sends a line a second and waits for its echo. A host that leaves pulls
// its card out in the middle.
func (h *host) talk(ctx context.Context) {
	c, err := h.node.Stack.DialContext(ctx, "tcp", fmt.Sprintf("%s:%d", h.to, echoPort))
	if err != nil {
		h.fail(err)
		return
	}
	if h.leaves {
		defer h.node.Close() // first, so that no FIN says goodbye
	} else {
		defer c.Close()
	}
	r, tick := bufio.NewReader(c), time.NewTicker(talkEvery)
	defer tick.Stop()
	for {
		c.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.WriteString(c, clientLine); err != nil {
			h.fail(fmt.Errorf("send: %w", err))
			return
		}
		h.count(1, 0)
		line, err := r.ReadString('\n')
		if err == nil && line != clientLine {
			err = fmt.Errorf("the echo is %q", line)
		}
		if err != nil {
			h.fail(fmt.Errorf("receive: %w", err))
			return
		}
		h.count(0, 1)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// gossip sends a datagram now and then. Nobody answers.
func (h *host) gossip(ctx context.Context) {
	c, err := h.node.Stack.DialContext(ctx, "udp", fmt.Sprintf("%s:%d", h.to, gossipPort))
	if err != nil {
		h.fail(err)
		return
	}
	defer c.Close()
	tick := time.NewTicker(gossipEvery)
	defer tick.Stop()
	for {
		if _, err := io.WriteString(c, gossipWord); err != nil {
			h.fail(fmt.Errorf("send: %w", err))
			return
		}
		h.count(1, 0)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// listen counts gossip.
func (h *host) listen(pc net.PacketConn) {
	for b := make([]byte, 2048); ; {
		n, _, err := pc.ReadFrom(b)
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				h.fail(err)
			}
			return
		}
		if string(b[:n]) != gossipWord {
			h.fail(fmt.Errorf("heard %q", b[:n]))
			return
		}
		h.count(0, 1)
	}
}

// Package portforward leads connections from a listener to somewhere else,
// whatever stack either side lives on: from a port of the host to a port of the
// guest, over the gateway's TCP or over the kernel's.
package portforward

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"
)

// dialTimeout bounds how long a caller waits for the other side.
const dialTimeout = 10 * time.Second

// Serve accepts from ln and copies between each caller and the connection that
// dial opens for it, until ctx ends; it then closes ln and every connection and
// returns when all of them have ended. A caller for whom dial fails sees a
// reset, as from a machine whose port is closed.
func Serve(ctx context.Context, ln net.Listener, dial func(context.Context) (net.Conn, error), log *slog.Logger) {
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	var callers sync.WaitGroup
	defer callers.Wait()
	for {
		c, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of descriptors, or a caller that was gone already: try again
			// after a breath, the listener is as good as before.
			log.Warn("port forwarding", "address", ln.Addr(), "error", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(50 * time.Millisecond):
				continue
			}
		}
		callers.Go(func() { forward(ctx, c, dial) })
	}
}

// forward copies between caller and the other side until both directions have
// ended or ctx has.
func forward(ctx context.Context, caller net.Conn, dial func(context.Context) (net.Conn, error)) {
	defer caller.Close()
	dctx, cancel := context.WithTimeout(ctx, dialTimeout)
	other, err := dial(dctx)
	cancel()
	if err != nil {
		if l, ok := caller.(interface{ SetLinger(int) error }); ok {
			l.SetLinger(0)
		}
		return
	}
	defer other.Close()
	stop := context.AfterFunc(ctx, func() {
		other.Close()
		caller.Close()
	})
	defer stop()
	var up sync.WaitGroup
	up.Go(func() { pipe(other, caller) })
	pipe(caller, other)
	up.Wait()
}

// pipe copies one direction and passes its end on: an orderly end as half-close,
// a failure as the end of both connections.
func pipe(dst, src net.Conn) {
	if _, err := io.Copy(dst, src); err != nil {
		dst.Close()
		src.Close()
		return
	}
	if hc, ok := dst.(interface{ CloseWrite() error }); ok {
		hc.CloseWrite()
	} else {
		dst.Close()
	}
}

package vnet

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"arpeggio/stack/link"
)

// Attachment is a device plugged into a switch: a TAP, a card, the wire of a
// virtual machine. One goroutine a direction moves its frames.
type Attachment struct {
	port *Port
	dev  link.Device
	stop atomic.Bool
	wg   sync.WaitGroup
	done chan struct{}

	mu  sync.Mutex
	err error
}

// batch is how many frames an Attachment moves at once.
const batch = 32

// Attach plugs dev into a new port. c is as for Port, except that a zero MTU
// and a zero Addr are the device's, and that Offload says nothing: the switch
// hands dev what its capabilities cover and takes from it what it delivers.
//
// The attachment reads and waits on dev until Close; nobody else may. dev stays
// open when the attachment ends, and belongs to the caller.
func (s *Switch) Attach(dev link.Device, c PortConfig) (*Attachment, error) {
	info := dev.Info()
	if c.MTU == 0 {
		c.MTU = info.MTU
	}
	if c.Addr.IsZero() && info.Addr.IsStation() {
		c.Addr = info.Addr
	}
	p, err := s.addPort(c, offloads, info.Caps)
	if err != nil {
		return nil, err
	}
	a := &Attachment{port: p, dev: dev, done: make(chan struct{})}
	a.wg.Add(2)
	go func() {
		defer a.wg.Done()
		a.finish("reading", a.pump(dev, p, Ingress))
	}()
	go func() {
		defer a.wg.Done()
		a.finish("writing", a.pump(p, dev, Egress))
	}()
	go func() {
		a.wg.Wait()
		close(a.done)
	}()
	return a, nil
}

// pump moves frames until the attachment ends.
func (a *Attachment) pump(from, to link.Device, d Direction) error {
	var frames [batch]link.Frame
	for !a.stop.Load() {
		n, err := from.ReadFrames(frames[:])
		if err != nil {
			return err
		}
		if n == 0 {
			if err := from.Wait(time.Time{}); err != nil {
				return err
			}
			continue
		}
		for rest := frames[:n]; len(rest) > 0; {
			k, err := to.WriteFrames(rest)
			switch {
			case errors.Is(err, link.ErrClosed):
				return err
			case err != nil: // it concerns rest[k]
				a.port.refused(d)
				k++
			case k == 0:
				return fmt.Errorf("vnet: %s takes no frames", to.Info().Name)
			}
			rest = rest[min(k, len(rest)):]
		}
	}
	return nil
}

// refused counts a frame that the other side did not take.
func (p *Port) refused(d Direction) {
	if d == Egress {
		p.count(func(c *Counters) { c.Dropped[DropDevice]++ })
		return
	}
	p.sw.mu.Lock()
	defer p.sw.mu.Unlock()
	p.tx.Dropped[DropDevice]++
}

// finish ends both directions when one has ended.
func (a *Attachment) finish(verb string, err error) {
	a.mu.Lock()
	if err != nil && a.err == nil && !a.stop.Load() {
		a.err = fmt.Errorf("vnet: port %s: %s: %w", a.port.info.Name, verb, err)
	}
	a.mu.Unlock()
	a.stop.Store(true)
	a.port.Close()
	a.dev.Wake()
}

// Port returns the switch's port: its statistics, impairments and cable. Its
// frames belong to the attachment.
func (a *Attachment) Port() *Port { return a.port }

// Done is closed when the attachment has ended, by Close or because the device
// failed or was closed.
func (a *Attachment) Done() <-chan struct{} { return a.done }

// Err returns why the attachment ended by itself; nil while it runs and after
// Close.
func (a *Attachment) Err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// Close unplugs the device and returns when both goroutines have ended. It is
// idempotent.
func (a *Attachment) Close() error {
	a.finish("", nil)
	<-a.done
	return nil
}

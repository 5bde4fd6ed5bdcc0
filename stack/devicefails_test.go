package stack_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/link"
	"arpeggio/stack/vnet"
)

// stuck is a device that takes nothing and fails.
type stuck struct {
	link.Device
	err error
}

func (d *stuck) WriteFrames(f []link.Frame) (int, error) { return 0, d.err }

func TestDeviceRefusesFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := vnet.New(vnet.Config{})
		defer sw.Close()
		p := port(t, sw, vnet.PortConfig{Name: "p"})
		s := stack.New(stack.Config{})
		defer s.Close()
		add(t, s, stack.InterfaceConfig{Device: &stuck{p, errors.New("no")}, Resolver: stack.StaticResolver{addr(2): rawMAC}, Addresses: []netip.Prefix{prefix("10.0.0.1/24")}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Ping(ctx, addr(2), 3000); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if st := s.Stats(); st.Frames.OutErrors != 3 || st.Frames.Out != 0 {
			t.Errorf("%+v", st)
		}
	})
}

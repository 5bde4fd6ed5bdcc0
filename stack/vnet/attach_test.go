package vnet_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
	"arpeggio/stack/vnet"
)

// A port is a device, so an attachment can join two switches.
func TestAttachJoinsTwoSwitches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := newLAN(t, vnet.Config{}), newLAN(t, vnet.Config{})
		defer one.sw.Close()
		defer two.sw.Close()
		trunk := two.port(vnet.PortConfig{Name: "trunk", MTU: 9000})
		at, err := one.sw.Attach(trunk, vnet.PortConfig{Name: "to two"})
		if err != nil {
			t.Fatal(err)
		}
		if in := at.Port().Info(); in.MTU != 9000 || in.Addr != trunk.Info().Addr {
			t.Errorf("attachment's port is %+v", in)
		}
		for range 100 { // more than a batch
			send(t, one.a, frame(macB, macA, "there"))
		}
		synctest.Wait()
		if n := len(recv(t, two.b)); n != 100 {
			t.Errorf("%d of 100 frames crossed", n)
		}
		send(t, two.b, frame(macA, macB, "back"))
		synctest.Wait()
		expect(t, one.a, "back")
		recv(t, one.b)
		recv(t, one.c)
		expect(t, one.c)

		if err := at.Close(); err != nil {
			t.Fatal(err)
		}
		send(t, two.b, frame(macA, macB, "lost"))
		synctest.Wait()
		expect(t, one.a)
		if at.Err() != nil {
			t.Errorf("Err after Close: %v", at.Err())
		}
		if _, err := trunk.WriteFrames(nil); err != nil {
			t.Errorf("Close closed the device: %v", err)
		}
		at.Close()
	})
}

func TestAttachmentEndsWithItsDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := newLAN(t, vnet.Config{}), newLAN(t, vnet.Config{})
		defer one.sw.Close()
		at, err := one.sw.Attach(two.c, vnet.PortConfig{Name: "x"})
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, func() { two.sw.Close() })
		<-at.Done()
		if !errors.Is(at.Err(), link.ErrClosed) {
			t.Errorf("Err = %v, want ErrClosed", at.Err())
		}
		if _, err := one.sw.Attach(one.b, vnet.PortConfig{Name: "x", MTU: 1}); !errors.Is(err, vnet.ErrPortConfig) {
			t.Errorf("Attach with a bad configuration: %v", err)
		}
	})
}

// refusing is a device that refuses every second frame.
type refusing struct {
	link.Device
	n int
}

func (r *refusing) WriteFrames(f []link.Frame) (int, error) {
	for i := range f {
		if r.n++; r.n%2 == 0 {
			return i, link.ErrTooBig
		}
		if _, err := r.Device.WriteFrames(f[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(f), nil
}

func TestRefusedFrameCostsOnlyItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := newLAN(t, vnet.Config{}), newLAN(t, vnet.Config{})
		defer one.sw.Close()
		defer two.sw.Close()
		at, err := one.sw.Attach(&refusing{Device: two.a}, vnet.PortConfig{Name: "x"})
		if err != nil {
			t.Fatal(err)
		}
		defer at.Close()
		numbered(t, one.a, 10, 60)
		synctest.Wait()
		if n := len(recv(t, two.b)); n != 5 {
			t.Errorf("%d of 10 frames crossed", n)
		}
		if st := at.Port().Stats(); st.Rx.Dropped[vnet.DropDevice] != 5 {
			t.Errorf("%+v", st.Rx)
		}
		// The other way: a frame that the attached port must refuse.
		send(t, two.b, frame(ethernet.Broadcast, macB, ""))
		synctest.Wait()
		if n := len(recv(t, one.c)); n == 0 {
			t.Error("nothing came back")
		}
	})
}

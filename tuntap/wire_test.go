package tuntap_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
	"arpeggio/tuntap"
)

// framed puts QEMU's stream framing around frames.
func framed(frames ...[]byte) (b []byte) {
	for _, f := range frames {
		b = binary.BigEndian.AppendUint32(b, uint32(len(f)))
		b = append(b, f...)
	}
	return b
}

// wire runs fn in virtual time with a wire whose other end is far.
func wire(t *testing.T, fn func(t *testing.T, w *tuntap.StreamWire, far net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		w := tuntap.NewStreamWire(near, link.Info{Name: "wire", Caps: link.CapTSO4})
		defer w.Close()
		defer far.Close()
		fn(t, w, far)
	})
}

func all(t *testing.T, w link.Device) (got [][]byte) {
	t.Helper()
	fs := make([]link.Frame, 3)
	for {
		n, err := w.ReadFrames(fs)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return got
		}
		for _, f := range fs[:n] {
			got = append(got, bytes.Clone(f.Head))
		}
	}
}

func TestWireReadsFrames(t *testing.T) {
	wire(t, func(t *testing.T, w *tuntap.StreamWire, far net.Conn) {
		one, big := bytes.Repeat([]byte{1}, 60), bytes.Repeat([]byte{2}, 65536)
		stream := framed(one, []byte("runt"), nil, big, one)
		go func() { // in pieces that split lengths and frames
			for len(stream) > 0 {
				n := min(len(stream), 7001)
				far.Write(stream[:n])
				stream = stream[n:]
			}
			far.Write(framed(one)[:2])
		}()
		synctest.Wait()
		got := all(t, w)
		if len(got) != 3 || !bytes.Equal(got[0], one) || !bytes.Equal(got[1], big) || !bytes.Equal(got[2], one) {
			t.Errorf("%d frames", len(got))
		}
		if st := w.Stats(); st.RxMalformed != 2 {
			t.Errorf("%+v", st)
		}
		if in := w.Info(); in.Caps != 0 || in.MTU != 1500 {
			t.Errorf("Info %+v", in)
		}
	})
}

func TestWireWritesFrames(t *testing.T) {
	wire(t, func(t *testing.T, w *tuntap.StreamWire, far net.Conn) {
		head := make([]byte, 14)
		fs := []link.Frame{
			{Head: head, Payload: [][]byte{[]byte("gathered "), []byte("payload")}},
			{Head: bytes.Repeat([]byte{9}, 1514)},
			{Head: make([]byte, 40), Csum: link.Csum{State: link.CsumPartial, Start: 14, Offset: 2}},
		}
		go func() {
			if n, err := w.WriteFrames(fs); n != 3 || err != nil {
				t.Errorf("WriteFrames = %d, %v", n, err)
			}
		}()
		done := bytes.Clone(fs[2].Head)
		done[16], done[17] = 0xff, 0xff
		want := framed(append(head, "gathered payload"...), fs[1].Head, done)
		got := make([]byte, len(want))
		far.SetReadDeadline(time.Now().Add(time.Second))
		for n := 0; n < len(got); {
			k, err := far.Read(got[n:])
			if err != nil {
				t.Fatal(err)
			}
			n += k
		}
		if !bytes.Equal(got, want) {
			t.Error("the octets on the wire differ")
		}
		for name, f := range map[string]link.Frame{
			"too long":    {Head: make([]byte, 1515)},
			"super-frame": {Head: make([]byte, 1000), GSO: link.GSO{Type: link.GSOTCP4, HdrLen: 54, Size: 100}},
		} {
			if n, err := w.WriteFrames([]link.Frame{f}); n != 0 || !errors.Is(err, link.ErrTooBig) {
				t.Errorf("%s: %d, %v", name, n, err)
			}
		}
	})
}

// A peer that does not read costs frames, never time; nor does one who floods.
func TestWireNeverBlocks(t *testing.T) {
	wire(t, func(t *testing.T, w *tuntap.StreamWire, far net.Conn) {
		start := time.Now()
		f := []link.Frame{{Head: make([]byte, 1514)}}
		for range 6000 {
			if n, err := w.WriteFrames(f); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
		flood := framed(make([]byte, 60))
		for range 2000 {
			far.Write(flood)
		}
		synctest.Wait()
		if st := w.Stats(); st.TxDropped < 6000-2*(4<<20)/1514 || st.TxDropped > 6000-(4<<20)/1600 || st.RxDropped != 2000-1024 {
			t.Errorf("%+v", st)
		}
		if n := len(all(t, w)); n != 1024 {
			t.Errorf("%d frames queued", n)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("it took %v", d)
		}
	})
}

func TestWireBreaks(t *testing.T) {
	for _, c := range []struct {
		name string
		send []byte
		want string
	}{
		{"peer goes", nil, "the other end closed it"},
		{"in a length", []byte{0, 0}, "unexpected EOF"},
		{"in a frame", framed(make([]byte, 60))[:30], "middle of a frame"},
		{"not QEMU", []byte("GET / HTTP/1.1\r\n\r\n"), "stream framing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wire(t, func(t *testing.T, w *tuntap.StreamWire, far net.Conn) {
				good := make([]byte, 60)
				go func() {
					far.Write(append(framed(good), c.send...))
					if c.name != "not QEMU" {
						far.Close()
					}
				}()
				synctest.Wait()
				fs := make([]link.Frame, 4)
				if err := w.Wait(time.Time{}); err != nil {
					t.Errorf("Wait before the good frame was read: %v", err)
				}
				if n, err := w.ReadFrames(fs); n != 1 || err != nil {
					t.Errorf("the frame before the break: %d, %v", n, err)
				}
				_, err := w.ReadFrames(fs)
				if !errors.Is(err, tuntap.ErrWire) || !bytes.Contains([]byte(err.Error()), []byte(c.want)) {
					t.Errorf("ReadFrames: %v", err)
				}
				if werr := w.Wait(time.Time{}); werr == nil || werr.Error() != err.Error() {
					t.Errorf("Wait: %v", werr)
				}
				if c.name == "not QEMU" {
					return
				}
				w.WriteFrames([]link.Frame{{Head: good}})
				synctest.Wait()
				if _, err := w.WriteFrames([]link.Frame{{Head: good}}); !errors.Is(err, tuntap.ErrWire) {
					t.Errorf("WriteFrames: %v", err)
				}
			})
		})
	}
}

func TestWireWaitWakeClose(t *testing.T) {
	wire(t, func(t *testing.T, w *tuntap.StreamWire, far net.Conn) {
		took := func(deadline time.Time, want time.Duration, wantErr error) {
			t.Helper()
			start := time.Now()
			if err := w.Wait(deadline); !errors.Is(err, wantErr) {
				t.Errorf("Wait: %v, want %v", err, wantErr)
			}
			if d := time.Since(start); d != want {
				t.Errorf("Wait took %v, want %v", d, want)
			}
		}
		took(time.Now().Add(time.Second), time.Second, nil)
		took(time.Now().Add(-time.Second), 0, nil)
		w.Wake()
		took(time.Time{}, 0, nil)
		time.AfterFunc(time.Second, w.Wake)
		took(time.Time{}, time.Second, nil)
		time.AfterFunc(time.Second, func() { far.Write(framed(make([]byte, 60))) })
		took(time.Now().Add(time.Hour), time.Second, nil)
		all(t, w)
		took(time.Now().Add(time.Second), time.Second, nil)
		time.AfterFunc(time.Second, func() { w.Close() })
		took(time.Time{}, time.Second, link.ErrClosed)
		if _, err := w.ReadFrames(make([]link.Frame, 1)); !errors.Is(err, link.ErrClosed) {
			t.Errorf("ReadFrames: %v", err)
		}
		if _, err := w.WriteFrames([]link.Frame{{Head: make([]byte, ethernet.HeaderLen)}}); !errors.Is(err, link.ErrClosed) {
			t.Errorf("WriteFrames: %v", err)
		}
		if err := w.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
	})
}

func FuzzWire(f *testing.F) {
	f.Add(framed(make([]byte, 60), make([]byte, 3), make([]byte, 1514)))
	f.Add([]byte{0, 1, 0x10, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		near, far := net.Pipe()
		w := tuntap.NewStreamWire(near, link.Info{Name: "wire"})
		defer w.Close()
		go func() {
			far.Write(b)
			far.Close()
		}()
		total := 0
		fs := make([]link.Frame, 4)
		for {
			n, err := w.ReadFrames(fs)
			if err != nil {
				if !errors.Is(err, tuntap.ErrWire) {
					t.Fatal(err)
				}
				return
			}
			for _, fr := range fs[:n] {
				if len(fr.Head) < ethernet.HeaderLen {
					t.Fatalf("frame of %d octets", len(fr.Head))
				}
				if total += 4 + len(fr.Head); total > len(b) {
					t.Fatalf("%d octets of frames out of %d", total, len(b))
				}
			}
			if n == 0 {
				if err := w.Wait(time.Time{}); err != nil && !errors.Is(err, tuntap.ErrWire) {
					t.Fatal(err)
				}
			}
		}
	})
}

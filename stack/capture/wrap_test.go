package capture_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack/capture"
	"arpeggio/stack/link"
	"arpeggio/stack/vnet"
)

func TestWrapRecordsBothDirections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := vnet.New(vnet.Config{})
		defer sw.Close()
		a, err := sw.Port(vnet.PortConfig{Name: "a", Offload: true})
		if err != nil {
			t.Fatal(err)
		}
		b, err := sw.Port(vnet.PortConfig{Name: "b", Egress: vnet.Impairment{Delay: time.Second}})
		if err != nil {
			t.Fatal(err)
		}
		var buf bytes.Buffer
		w, err := capture.NewWriter(&buf, capture.WriterConfig{})
		if err != nil {
			t.Fatal(err)
		}
		rec := capture.NewRecorder(w, capture.RecorderConfig{})
		ra, rb := rec.Wrap(a), rec.Wrap(b)
		if ra.Info() != a.Info() {
			t.Error("Wrap changes Info")
		}
		start := time.Now()
		super := link.Frame{Head: arp[:14], Payload: [][]byte{arp[14:20], arp[20:]},
			Csum: link.Csum{State: link.CsumPartial, Start: 14, Offset: 6}}
		big := make([]byte, 2000)
		n, err := ra.WriteFrames([]link.Frame{super, {Head: big}, super})
		if n != 1 || !errors.Is(err, link.ErrTooBig) {
			t.Errorf("WriteFrames = %d, %v", n, err)
		}
		if err := rb.Wait(time.Time{}); err != nil {
			t.Fatal(err)
		}
		fs := make([]link.Frame, 4)
		if n, err := rb.ReadFrames(fs); n != 1 || err != nil {
			t.Errorf("ReadFrames = %d, %v", n, err)
		}
		if err := errors.Join(rb.Close(), rec.Close(), rec.Close()); err != nil {
			t.Fatal(err)
		}
		all, r := readAll(t, buf.Bytes())
		if len(all) != 2 {
			t.Fatalf("%d packets recorded, want 2", len(all))
		}
		if p := all[0]; p.Direction != capture.Out || p.Interface != 0 || !bytes.Equal(p.Data, arp) || !p.Time.Equal(start) || p.Comment != "checksum partial" {
			t.Errorf("sent: %+v", p)
		}
		if p := all[1]; p.Direction != capture.In || p.Interface != 1 || len(p.Data) != 60 || !p.Time.Equal(start.Add(time.Second)) || p.Comment != "" {
			t.Errorf("received: %+v", p)
		}
		if is := r.Interfaces(); is[0].Name != "a" || !strings.Contains(is[1].Description, b.Info().Addr.String()) {
			t.Errorf("%+v", is)
		}
	})
}

func TestFullDiskDoesNotDisturbTheDevice(t *testing.T) {
	sw := vnet.New(vnet.Config{})
	defer sw.Close()
	a, _ := sw.Port(vnet.PortConfig{Name: "a"})
	b, _ := sw.Port(vnet.PortConfig{Name: "b"})
	w, err := capture.NewWriter(&full{200}, capture.WriterConfig{Buffer: 1})
	if err != nil {
		t.Fatal(err)
	}
	rec := capture.NewRecorder(w, capture.RecorderConfig{})
	dev := rec.Wrap(a)
	for range 10 {
		if n, err := dev.WriteFrames([]link.Frame{{Head: arp}}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	if err := rec.Close(); err == nil {
		t.Error("closed as if it were whole")
	}
	if n, _ := b.ReadFrames(make([]link.Frame, 20)); n != 10 || w.Err() == nil {
		t.Errorf("%d frames came, error %v", n, w.Err())
	}
}

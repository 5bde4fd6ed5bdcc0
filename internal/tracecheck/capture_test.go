package tracecheck_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/internal/tracecheck"
	"arpeggio/stack"
	"arpeggio/stack/capture"
	"arpeggio/stack/link"
	"arpeggio/stack/vnet"
)

// record has two stacks talk over a switch that loses frames, and returns what a
// capture at the first of them, 10.0.0.1, holds.
func record(t *testing.T) []byte {
	var file bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		w, err := capture.NewWriter(&file, capture.WriterConfig{})
		if err != nil {
			t.Fatal(err)
		}
		rec := capture.NewRecorder(w, capture.RecorderConfig{})
		sw := vnet.New(vnet.Config{Seed: 3})
		neighbors := stack.StaticResolver{}
		var stacks [2]*stack.Stack
		for i := range stacks {
			p, err := sw.Port(vnet.PortConfig{Name: fmt.Sprint("host", i), Ingress: vnet.Impairment{Delay: 5 * time.Millisecond, Loss: 0.03}})
			if err != nil {
				t.Fatal(err)
			}
			a := netip.AddrFrom4([4]byte{10, 0, 0, byte(1 + i)})
			neighbors[a] = p.Info().Addr
			dev := link.Device(p)
			if i == 0 {
				dev = rec.Wrap(p)
			}
			stacks[i] = stack.New(stack.Config{})
			if _, err := stacks[i].AddInterface(stack.InterfaceConfig{Device: dev, Resolver: neighbors, Addresses: []netip.Prefix{netip.PrefixFrom(a, 24)}}); err != nil {
				t.Fatal(err)
			}
		}
		ln, err := stacks[1].Listen("tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			c, err := ln.Accept()
			if err == nil {
				_, err = io.Copy(c, c)
				err = errors.Join(err, c.Close())
			}
			if err != nil {
				t.Error(err)
			}
		}()
		c, err := stacks[0].Dial("tcp", "10.0.0.2:80")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, err := c.Write(make([]byte, 200_000))
			if err = errors.Join(err, c.(*stack.TCPConn).CloseWrite()); err != nil {
				t.Error(err)
			}
		}()
		if n, err := io.Copy(io.Discard, c); n != 200_000 || err != nil {
			t.Error(n, err)
		}
		c.Close()
		time.Sleep(2 * time.Minute)
		for _, s := range stacks {
			s.Close()
		}
		ln.Close()
		sw.Close()
		if err := errors.Join(rec.Close(), w.Flush()); err != nil {
			t.Error(err)
		}
	})
	return file.Bytes()
}

// A capture is judged as it was taken, and one that somebody has changed is not
// allowed any more.
func TestCapture(t *testing.T) {
	file := record(t)
	check := func(file []byte) (n int, err error) {
		h := tracecheck.NewHost(netip.MustParseAddr("10.0.0.1"), tracecheck.Config{Slack: time.Millisecond})
		err = h.Capture(bytes.NewReader(file))
		return h.Segments(), err
	}
	n, err := check(file)
	if err != nil || n < 200 {
		t.Fatalf("%d segments, %v", n, err)
	}
	// An octet is changed here and there, until it is one that matters.
	var v *tracecheck.Violation
	for at := len(file) / 2; at < len(file); at += 1500 {
		bad := bytes.Clone(file)
		bad[at] ^= 0xff
		if _, err := check(bad); errors.As(err, &v) {
			t.Logf("octet %d changed: %v", at, err)
			return
		}
	}
	t.Error("no change was noticed")
}

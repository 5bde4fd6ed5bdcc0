package vnet_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack/link"
	"arpeggio/stack/vnet"
)

func TestWaitReturns(t *testing.T) {
	bubble := func(name string, fn func(t *testing.T, l *lan)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLAN(t, vnet.Config{})
				defer l.sw.Close()
				fn(t, l)
			})
		})
	}
	// took runs Wait and checks that it returns want after d.
	took := func(t *testing.T, p *vnet.Port, deadline time.Time, d time.Duration, want error) {
		t.Helper()
		start := time.Now()
		if err := p.Wait(deadline); !errors.Is(err, want) {
			t.Errorf("Wait = %v, want %v", err, want)
		}
		if got := time.Since(start); got != d {
			t.Errorf("Wait took %v, want %v", got, d)
		}
	}
	after := func(d time.Duration, fn func()) { time.AfterFunc(d, fn) }

	bubble("at the deadline", func(t *testing.T, l *lan) {
		took(t, l.b, time.Now().Add(time.Minute), time.Minute, nil)
	})
	bubble("at once when the deadline has passed", func(t *testing.T, l *lan) {
		took(t, l.b, time.Now().Add(-1), 0, nil)
	})
	bubble("at once when a frame is there", func(t *testing.T, l *lan) {
		send(t, l.a, frame(macB, macA, ""))
		took(t, l.b, time.Time{}, 0, nil)
		took(t, l.b, time.Time{}, 0, nil)
	})
	bubble("when a frame comes", func(t *testing.T, l *lan) {
		after(time.Second, func() { send(t, l.a, frame(macB, macA, "")) })
		took(t, l.b, time.Now().Add(time.Minute), time.Second, nil)
	})
	bubble("when a delayed frame arrives", func(t *testing.T, l *lan) {
		l.a.SetImpairment(vnet.Ingress, vnet.Impairment{Delay: time.Second})
		l.b.SetImpairment(vnet.Egress, vnet.Impairment{Delay: time.Second})
		after(time.Second, func() { send(t, l.a, frame(macB, macA, "")) })
		took(t, l.b, time.Time{}, 3*time.Second, nil)
		expect(t, l.b, "")
	})
	bubble("on Wake", func(t *testing.T, l *lan) {
		after(time.Second, l.b.Wake)
		took(t, l.b, time.Time{}, time.Second, nil)
		took(t, l.b, time.Now().Add(time.Minute), time.Minute, nil)
	})
	bubble("at once after a Wake that nobody waited for", func(t *testing.T, l *lan) {
		l.b.Wake()
		l.b.Wake()
		took(t, l.b, time.Time{}, 0, nil)
		took(t, l.b, time.Now().Add(time.Minute), time.Minute, nil)
	})
	bubble("ErrClosed on Close", func(t *testing.T, l *lan) {
		after(time.Second, func() { l.b.Close() })
		took(t, l.b, time.Time{}, time.Second, link.ErrClosed)
		took(t, l.b, time.Time{}, 0, link.ErrClosed)
	})
	bubble("ErrClosed when the switch closes", func(t *testing.T, l *lan) {
		after(time.Second, func() { l.sw.Close() })
		took(t, l.b, time.Now().Add(time.Hour), time.Second, link.ErrClosed)
	})
}

func TestClosedPort(t *testing.T) {
	l := newLAN(t, vnet.Config{})
	send(t, l.b, frame(macA, macB, ""))
	recv(t, l.c)
	for range 2 {
		if err := l.b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	one := []link.Frame{{Head: frame(macA, macB, "")}}
	if n, err := l.b.WriteFrames(one); n != 0 || !errors.Is(err, link.ErrClosed) {
		t.Errorf("WriteFrames = %d, %v", n, err)
	}
	if n, err := l.b.ReadFrames(one); n != 0 || !errors.Is(err, link.ErrClosed) {
		t.Errorf("ReadFrames = %d, %v", n, err)
	}
	send(t, l.a, frame(macB, macA, "forgotten")) // flooded again
	expect(t, l.c, "forgotten")
	l.sw.Close()
	if _, err := l.sw.Port(vnet.PortConfig{Name: "late"}); !errors.Is(err, link.ErrClosed) {
		t.Errorf("Port on a closed switch: %v", err)
	}
}

func TestReadReusesStorage(t *testing.T) {
	l := newLAN(t, vnet.Config{})
	fs := []link.Frame{{Head: make([]byte, 0, 2048)}}
	want := &fs[0].Head[:1][0]
	w := []link.Frame{{Head: frame(macB, macA, "payload")}}
	allocs := testing.AllocsPerRun(100, func() {
		l.a.WriteFrames(w)
		if n, _ := l.b.ReadFrames(fs); n != 1 {
			t.Fatal("no frame")
		}
		l.c.ReadFrames(make([]link.Frame, 1))
	})
	if &fs[0].Head[0] != want {
		t.Error("ReadFrames replaced storage that was large enough")
	}
	if allocs > 3 {
		t.Errorf("%v allocations for a frame through the switch", allocs)
	}
}

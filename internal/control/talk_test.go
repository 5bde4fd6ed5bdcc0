package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// talk connects a guest and a host by pipes and runs test in a bubble.
func talk(t *testing.T, test func(t *testing.T, g *Guest, h *Host, stopped <-chan string)) {
	synctest.Test(t, func(t *testing.T) {
		hostCtrl, guestCtrl := net.Pipe()
		hostExp, guestExp := net.Pipe()
		stopped := make(chan string, 1)
		g := NewGuest(guestCtrl, guestExp, GuestConfig{Stop: func(reason string) { stopped <- reason }})
		h := NewHost(hostCtrl, hostExp, HostConfig{OnLog: func(l Log) { t.Logf("%s %s", l.Level, l.Text) }})
		test(t, g, h, stopped)
		g.Close()
		h.Close()
		synctest.Wait()
	})
}

func TestHelloReadyStop(t *testing.T) {
	talk(t, func(t *testing.T, g *Guest, h *Host, stopped <-chan string) {
		if err := g.Hello("v1"); err != nil {
			t.Fatal(err)
		}
		if m, err := h.WaitHello(t.Context()); err != nil || m.Version != "v1" || m.Protocol != Protocol {
			t.Errorf("%+v %v", m, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := h.WaitReady(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ready before it says so: %v", err)
		}
		g.Send(Message{Type: TypeReady, Ready: &Ready{URLs: map[string]string{"site": "http://10.0.0.1/"}}})
		if r, err := h.WaitReady(t.Context()); err != nil || r.URLs["site"] != "http://10.0.0.1/" {
			t.Errorf("%+v %v", r, err)
		}
		go func() {
			<-stopped
			time.Sleep(3 * time.Second)
			g.Send(Message{Type: TypeStopped})
		}()
		start := time.Now()
		if err := h.Stop(t.Context(), "enough"); err != nil || time.Since(start) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestFatalEndsBothWaits(t *testing.T) {
	talk(t, func(t *testing.T, g *Guest, h *Host, _ <-chan string) {
		g.Send(Message{Type: TypeFatal, Fatal: &Fatal{Message: "the disk is foreign", Remedy: "use another"}})
		_, hello := h.WaitHello(t.Context())
		_, ready := h.WaitReady(t.Context())
		for _, err := range []error{hello, ready, h.Fatal()} {
			if f, ok := errors.AsType[*FatalError](err); !ok || f.Remedy != "use another" || !strings.Contains(err.Error(), "the disk is foreign; use another") {
				t.Errorf("got %v", err)
			}
		}
	})
}

func TestGuestThatGoesAway(t *testing.T) {
	talk(t, func(t *testing.T, g *Guest, h *Host, _ <-chan string) {
		g.Close()
		_, hello := h.WaitHello(t.Context())
		_, ready := h.WaitReady(t.Context())
		_, ping := h.Ping(t.Context())
		_, export := h.Export(t.Context(), Export{What: "bundle"}, io.Discard)
		for what, err := range map[string]error{"hello": hello, "ready": ready, "ping": ping, "export": export, "stop": h.Stop(t.Context(), "")} {
			if !errors.Is(err, ErrGuestGone) {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

func TestPing(t *testing.T) {
	talk(t, func(t *testing.T, g *Guest, h *Host, _ <-chan string) {
		time.Sleep(time.Hour)
		g.HandleHealth(func() map[string]int64 { return map[string]int64{"entries": 8} })
		if m, err := h.Ping(t.Context()); err != nil || m.Uptime != time.Hour || m.Memory == 0 || m.Counters["entries"] != 8 {
			t.Errorf("%+v %v", m, err)
		}
	})
}

// A machine may have a port at whose other end nobody reads.
func TestHostThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, guest := net.Pipe()
		g := NewGuest(guest, nil, GuestConfig{Stop: func(string) {}})
		for i, want := range []time.Duration{sendLimit, 0, 0} {
			start := time.Now()
			if err := g.Hello("v1"); !errors.Is(err, ErrHostStuck) || errors.Is(err, ErrLeftBehind) != (i == 0) || time.Since(start) != want {
				t.Errorf("message %d: %v after %v", i, err, time.Since(start))
			}
		}
		c := NewConn(host)
		if m, err := c.Receive(); err != nil || m.Hello == nil {
			t.Errorf("the message that was left behind: %+v %v", m, err)
		}
		synctest.Wait()
		go g.Send(Message{Type: TypeStopped})
		if m, err := c.Receive(); err != nil || m.Type != TypeStopped {
			t.Errorf("a message after that: %+v %v", m, err)
		}
		g.Close()
		c.Close()
		synctest.Wait()
	})
}

// A guest on a machine without ports has a nil Guest and talks to nobody.
func TestNobodyThere(t *testing.T) {
	var g *Guest
	g.HandleHealth(nil)
	g.HandleExport(nil)
	if err := errors.Join(g.Hello("v1"), g.Send(Message{Type: TypeStopped}), g.Close()); err != nil {
		t.Error(err)
	}
}

// What the host gives is had once, whoever was first, and is in no message that is
// printed.
func TestGive(t *testing.T) {
	talk(t, func(t *testing.T, g *Guest, h *Host, _ <-chan string) {
		early := make(chan string, 1)
		go func() {
			text, _ := g.Given(t.Context(), "token")
			early <- text
		}()
		synctest.Wait()
		if err := errors.Join(h.Give("other", "x"), h.Give("token", "secret\n")); err != nil {
			t.Fatal(err)
		}
		if text := <-early; text != "secret\n" {
			t.Errorf("got %q", text)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if text, err := g.Given(ctx, "token"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("had twice: %q, %v", text, err)
		}
		if text, err := g.Given(t.Context(), "other"); text != "x" {
			t.Errorf("got %q, %v", text, err)
		}
		for i := range 2 * maxGiven { // nobody wants these
			if err := h.Give(fmt.Sprint(i), "x"); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if len(g.given) != maxGiven {
			t.Errorf("%d are kept", len(g.given))
		}
		if s := fmt.Sprint(Give{"token", "secret"}, &Give{"token", "secret"}); strings.Contains(s, "secret") {
			t.Errorf("printed: %s", s)
		}
		h.Close()
		if _, err := g.Given(t.Context(), "token"); !errors.Is(err, ErrHostGone) {
			t.Errorf("without a host: %v", err)
		}
	})
	var nobody *Guest
	if _, err := nobody.Given(t.Context(), "token"); !errors.Is(err, ErrHostGone) {
		t.Errorf("without ports: %v", err)
	}
}

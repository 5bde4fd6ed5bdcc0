package control

import (
	"bytes"
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

// Whose patience ends, behind another export or in the middle of their own, spoils
// none that comes later.
func TestExportPatience(t *testing.T) {
	talk(t, func(t *testing.T, g *Guest, h *Host, _ <-chan string) {
		g.HandleExport(func(e Export, w io.Writer) error {
			time.Sleep(time.Minute)
			_, err := io.WriteString(w, e.What)
			return err
		})
		export := func(what string, patience time.Duration) (string, error) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			var b bytes.Buffer
			_, err := h.Export(ctx, Export{What: what}, &b)
			return b.String(), err
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			if got, err := export("slow", time.Hour); got != "slow" || err != nil {
				t.Errorf("the first: %q, %v", got, err)
			}
		}()
		synctest.Wait()
		if got, err := export("behind", 30*time.Second); got != "" || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("behind it: %q, %v", got, err)
		}
		<-done
		if got, err := export("middle", 30*time.Second); got != "" || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("in the middle: %q, %v", got, err)
		}
		if got, err := export("later", time.Hour); got != "later" || err != nil {
			t.Errorf("afterwards: %q, %v", got, err)
		}
	})
}

// A writer that fails, such as a full disk's, is told of, and the next export works.
func TestExportToWriterThatFails(t *testing.T) {
	talk(t, func(t *testing.T, g *Guest, h *Host, _ <-chan string) {
		g.HandleExport(func(_ Export, w io.Writer) error {
			_, err := w.Write(make([]byte, 3*maxChunk))
			return err
		})
		r, full := io.Pipe()
		r.Close()
		if n, err := h.Export(t.Context(), Export{What: "x"}, full); n != 0 || !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%d octets, %v", n, err)
		}
		if n, err := h.Export(t.Context(), Export{What: "x"}, io.Discard); n != 3*maxChunk || err != nil {
			t.Errorf("afterwards %d octets, %v", n, err)
		}
	})
}

// A guest that hangs as a whole holds nobody up for ever, whether they wait for its
// data or behind somebody who does; and when it comes to again the port is in order.
func TestExportFromGuestThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hostCtrl, guestCtrl := net.Pipe()
		hostExp, guestExp := net.Pipe()
		h := NewHost(hostCtrl, hostExp, HostConfig{})
		asked := make(chan struct{})
		awake, well := make(chan struct{}), make(chan struct{})
		go func() { // the guest: reads the first request, sends half an answer, and hangs
			var b [1024]byte
			n, _ := guestCtrl.Read(b[:])
			m, err := Parse(b[:n-1])
			if err != nil {
				t.Error(err)
			}
			close(asked)
			n64, err := WriteStream(guestExp, m.ID, func(w io.Writer) error {
				_, err := w.Write(make([]byte, maxChunk+1))
				<-awake
				return err
			})
			if err != nil {
				t.Error(err)
			}
			g := NewGuest(guestCtrl, guestExp, GuestConfig{Stop: func(string) {}})
			g.exported(m.ID, n64, nil)
			g.HandleExport(func(_ Export, w io.Writer) error {
				_, err := io.WriteString(w, "well")
				return err
			})
			close(well)
		}()
		results := make(chan error, 2)
		go func() {
			_, err := h.Export(context.Background(), Export{What: "first"}, io.Discard)
			results <- err
		}()
		<-asked
		go func() {
			_, err := h.Export(context.Background(), Export{What: "second"}, io.Discard)
			results <- err
		}()
		start := time.Now()
		for range 2 {
			if err := <-results; !errors.Is(err, ErrGuestStuck) || time.Since(start) > 4*silence {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		}
		close(awake)
		<-well
		var b bytes.Buffer
		if n, err := h.Export(context.Background(), Export{What: "third"}, &b); err != nil || b.String() != "well" {
			t.Errorf("%d octets, %q, %v", n, b.String(), err)
		}
		h.Close()
		guestCtrl.Close()
		guestExp.Close()
		synctest.Wait()
	})
}

func TestExports(t *testing.T) {
	talk(t, func(t *testing.T, g *Guest, h *Host, _ <-chan string) {
		if _, err := h.Export(t.Context(), Export{What: "early"}, io.Discard); err == nil || !strings.Contains(err.Error(), "nothing to export") {
			t.Errorf("without a handler: %v", err)
		}
		g.HandleExport(func(e Export, w io.Writer) error {
			if e.What != "bundle" {
				fmt.Fprint(w, "half of ")
				return errors.New("no such thing")
			}
			_, err := fmt.Fprintf(w, "bundle of %s", e.Args["ref"])
			return err
		})
		results := make(chan error, 3)
		for i := range 3 { // at once: they queue up
			go func() {
				var b bytes.Buffer
				ref := fmt.Sprint("branch-", i)
				n, err := h.Export(t.Context(), Export{What: "bundle", Args: map[string]string{"ref": ref}}, &b)
				if err == nil && (b.String() != "bundle of "+ref || n != int64(b.Len())) {
					err = fmt.Errorf("got %q, %d", b.String(), n)
				}
				results <- err
			}()
		}
		for range 3 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if _, err := h.Export(t.Context(), Export{What: "x"}, io.Discard); err == nil || !strings.Contains(err.Error(), "no such thing") {
			t.Errorf("failing export: %v", err)
		}
		if _, err := h.Export(t.Context(), Export{What: "bundle"}, io.Discard); err != nil {
			t.Errorf("export after a failed one: %v", err)
		}
	})
}

func TestExportThatHangsEndsWithItsContext(t *testing.T) {
	talk(t, func(t *testing.T, g *Guest, h *Host, _ <-chan string) {
		g.HandleExport(func(_ Export, w io.Writer) error {
			fmt.Fprint(w, "half")
			time.Sleep(time.Hour)
			return nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := h.Export(ctx, Export{What: "slow"}, io.Discard); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		time.Sleep(2 * time.Hour)
	})
}

// A machine may have a port at whose other end nobody reads.
func TestHostThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, guest := net.Pipe()
		g := NewGuest(guest, nil, GuestConfig{Stop: func(string) {}})
		for i, want := range []time.Duration{sendLimit, 0, 0} {
			start := time.Now()
			if err := g.Hello("v1"); !errors.Is(err, ErrHostStuck) || time.Since(start) != want {
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

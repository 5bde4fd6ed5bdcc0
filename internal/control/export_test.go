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

// scripted is a guest that answers each request for an export as it is told.
func scripted(t *testing.T, answer func(n int, id uint64, port io.Writer, say func(Exported)), test func(h *Host)) {
	synctest.Test(t, func(t *testing.T) {
		hostCtrl, guestCtrl := net.Pipe()
		hostExp, guestExp := net.Pipe()
		h, c := NewHost(hostCtrl, hostExp, HostConfig{}), NewConn(guestCtrl)
		go func() {
			for n := 0; ; {
				m, err := c.Receive()
				switch {
				case err != nil:
					return
				case m.Type == TypePing:
					c.Send(Message{Type: TypeHealth, ID: m.ID, Health: &Health{}})
				case m.Type == TypeExport:
					n++
					go answer(n, m.ID, guestExp, func(e Exported) { c.Send(Message{Type: TypeExported, ID: m.ID, Exported: &e}) })
				}
			}
		}()
		test(h)
		h.Close()
		guestCtrl.Close()
		guestExp.Close()
		synctest.Wait()
	})
}

func wholeStream(port io.Writer, id uint64, text string) {
	WriteStream(port, id, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
}

// A guest that lives may still leave out half of what it owes: waiting ends as soon
// as nothing more can come, and the next export works.
func TestExportHalfAnswered(t *testing.T) {
	for name, tc := range map[string]struct {
		first  func(id uint64, port io.Writer, say func(Exported))
		want   func(error) bool
		within time.Duration
	}{
		"refused without a stream": {
			func(_ uint64, _ io.Writer, say func(Exported)) { say(Exported{Error: "too many exports at once"}) },
			func(err error) bool { return err != nil && strings.Contains(err.Error(), "too many exports at once") }, 0},
		"whole, and no word of it": {
			func(id uint64, port io.Writer, _ func(Exported)) { wholeStream(port, id, "first") },
			func(err error) bool { return err == nil }, 0},
		"given up, and no reason": {
			func(id uint64, port io.Writer, _ func(Exported)) {
				WriteStream(port, id, func(w io.Writer) error { return errors.New("untold") })
			},
			func(err error) bool { return errors.Is(err, ErrStreamAborted) }, 2 * silence},
		"told whole, and never sent": {
			func(_ uint64, _ io.Writer, say func(Exported)) { say(Exported{Size: 5}) },
			func(err error) bool { return errors.Is(err, ErrExportMissing) }, 2 * silence},
		"told whole, and sent when nobody waits": {
			func(id uint64, port io.Writer, say func(Exported)) {
				say(Exported{Size: 4})
				time.Sleep(3 * silence)
				wholeStream(port, id, "late")
			},
			func(err error) bool { return errors.Is(err, ErrExportMissing) }, 2 * silence},
	} {
		t.Run(name, func(t *testing.T) {
			scripted(t, func(n int, id uint64, port io.Writer, say func(Exported)) {
				if n == 1 {
					tc.first(id, port, say)
					return
				}
				time.Sleep(4 * silence) // a second one may take its time
				wholeStream(port, id, "second")
				say(Exported{Size: 6})
			}, func(h *Host) {
				start := time.Now()
				if _, err := h.Export(context.Background(), Export{What: "x"}, io.Discard); !tc.want(err) || time.Since(start) > tc.within {
					t.Errorf("%v after %v", err, time.Since(start))
				}
				var b bytes.Buffer
				if n, err := h.Export(context.Background(), Export{What: "x"}, &b); n != 6 || err != nil || b.String() != "second" {
					t.Errorf("the next one: %d octets, %q, %v", n, b.String(), err)
				}
			})
		})
	}
}

// Behind damage nobody knows where a stream begins: that export ends, and each one
// after it at once.
func TestExportPortDamaged(t *testing.T) {
	scripted(t, func(_ int, _ uint64, port io.Writer, _ func(Exported)) { io.WriteString(port, "what is this, then?") }, func(h *Host) {
		for range 2 {
			if _, err := h.Export(context.Background(), Export{What: "x"}, io.Discard); !errors.Is(err, ErrStreamCorrupt) {
				t.Error(err)
			}
		}
	})
}

// A writer that takes its time does not keep the guest from being heard.
func TestExportToSlowWriter(t *testing.T) {
	scripted(t, func(_ int, id uint64, port io.Writer, _ func(Exported)) { wholeStream(port, id, "slow") }, func(h *Host) {
		r, w := io.Pipe()
		done := make(chan error, 1)
		go func() {
			_, err := h.Export(context.Background(), Export{What: "x"}, w)
			done <- err
		}()
		synctest.Wait()
		if _, err := h.Ping(context.Background()); err != nil {
			t.Error(err)
		}
		time.Sleep(10 * silence)
		io.ReadFull(r, make([]byte, 4))
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// pausing takes a minute for each write.
type pausing struct{ bytes.Buffer }

func (p *pausing) Write(b []byte) (int, error) {
	time.Sleep(time.Minute)
	return p.Buffer.Write(b)
}

// What a slow writer has not taken yet is not missing, whatever the guest has said.
func TestExportToldWholeToSlowWriter(t *testing.T) {
	scripted(t, func(_ int, id uint64, port io.Writer, say func(Exported)) {
		say(Exported{})
		wholeStream(port, id, "slow")
	}, func(h *Host) {
		var out pausing
		if n, err := h.Export(context.Background(), Export{What: "x"}, &out); n != 4 || err != nil || out.String() != "slow" {
			t.Errorf("%d octets, %q, %v", n, out.String(), err)
		}
	})
}

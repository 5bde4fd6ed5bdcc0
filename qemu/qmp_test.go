package qemu

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// fakeQMP is QEMU's end of a QMP connection: it greets, and answers each
// command with what answer returns; "" answers nothing.
func fakeQMP(t testing.TB, greeting string, answer func(command string, id uint64) string) net.Conn {
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	go func() {
		fmt.Fprintln(theirs, greeting)
		for s := bufio.NewScanner(theirs); s.Scan(); {
			var c qmpCommand
			if json.Unmarshal(s.Bytes(), &c) != nil {
				return
			}
			if a := answer(c.Execute, c.ID); a != "" {
				fmt.Fprintln(theirs, a)
			}
		}
		theirs.Close()
	}()
	return ours
}

const greeting = `{"QMP": {"version": {"qemu": {"major": 7}}, "capabilities": []}}`

func TestQMPCommandsAndEvents(t *testing.T) {
	events := make(chan qmpEvent, 4)
	conn := fakeQMP(t, greeting, func(command string, id uint64) string {
		switch command {
		case "query-status":
			// An event and somebody else's answer come in between.
			return fmt.Sprintf("{\"event\": \"STOP\", \"data\": {}}\n{\"return\": {}, \"id\": 999}\nnot json\n{\"return\": {\"status\": \"paused\"}, \"id\": %d}", id)
		case "bad":
			return fmt.Sprintf(`{"error": {"class": "CommandNotFound", "desc": "no such command"}, "id": %d}`, id)
		}
		return fmt.Sprintf(`{"return": {}, "id": %d}`, id)
	})
	q, err := newQMP(t.Context(), conn, func(e qmpEvent) { events <- e })
	if err != nil {
		t.Fatal(err)
	}
	var s struct{ Status string }
	if err := q.execute(t.Context(), "query-status", nil, &s); err != nil || s.Status != "paused" {
		t.Errorf("status %q, %v", s.Status, err)
	}
	if e := <-events; e.Event != "STOP" {
		t.Errorf("event %+v", e)
	}
	var refused *qmpError
	if err := q.execute(t.Context(), "bad", nil, nil); !errors.As(err, &refused) || !strings.Contains(err.Error(), "no such command") {
		t.Errorf("refusal: %v", err)
	}
	q.close()
	<-q.closed
	if err := q.execute(t.Context(), "quit", nil, nil); err == nil {
		t.Error("a command after the end succeeds")
	}
}

func TestQMPCommandEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := fakeQMP(t, greeting, func(command string, id uint64) string {
			if command == "qmp_capabilities" {
				return fmt.Sprintf(`{"return": {}, "id": %d}`, id)
			}
			return ""
		})
		q, err := newQMP(t.Context(), conn, func(qmpEvent) {})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := q.execute(ctx, "query-status", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if n := len(q.waiting); n != 0 {
			t.Errorf("%d commands are still waited for", n)
		}
		q.close()
		<-q.closed
	})
}

func TestQMPRefusesOtherServers(t *testing.T) {
	for _, g := range []string{"SSH-2.0-OpenSSH_9.6", `{"hello": 1}`, ""} {
		if _, err := newQMP(t.Context(), fakeQMP(t, g, nil), func(qmpEvent) {}); err == nil {
			t.Errorf("greeting %q is accepted", g)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	silent, theirs := net.Pipe()
	defer theirs.Close()
	if _, err := newQMP(ctx, silent, func(qmpEvent) {}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a silent server: %v", err)
	}
}

func FuzzQMP(f *testing.F) {
	f.Add(`{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-shutdown"}}`)
	f.Add(`{"return": {}, "id": 1}`)
	f.Add(`{"event": 3, "id": -1}`)
	f.Fuzz(func(t *testing.T, line string) {
		ours, theirs := net.Pipe()
		m := &Machine{}
		m.cfg, _ = Config{}.withDefaults()
		q := &qmp{conn: ours, r: bufio.NewScanner(ours), closed: make(chan struct{}), waiting: map[uint64]chan qmpReply{1: make(chan qmpReply, 1)}}
		go q.read(m.event)
		fmt.Fprintln(theirs, line)
		theirs.Close()
		<-q.closed
	})
}

package qemu

import (
	"context"
	"encoding/json"
	"time"
)

// QEMU pauses a machine whose disk cannot be written for lack of room on the
// host: the guest sees neither an error nor the time that passes, and loses
// nothing. Somebody has to make room and to let it go on.
const (
	stallRetry    = 2 * time.Second        // between attempts to go on
	stallSettle   = 300 * time.Millisecond // until a repeated write has failed again
	stallPatience = 5 * time.Second        // of Stop, with a machine that cannot react
)

// blockError handles QEMU's BLOCK_IO_ERROR event.
func (m *Machine) blockError(data json.RawMessage) {
	var d struct{ Action, Reason string }
	if json.Unmarshal(data, &d) != nil || d.Action != "stop" {
		return // the guest was told, and deals with it
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stalled == "" {
		m.stalledSince = time.Now()
		go m.unstall(d.Reason)
	}
	m.stalled = d.Reason
}

// unstall lets the machine go on as soon as its disk can be written.
func (m *Machine) unstall(reason string) {
	m.cfg.OnStall(reason)
	for {
		select {
		case <-m.ended:
			return
		case <-time.After(stallRetry):
		}
		if m.goOn() {
			m.mu.Lock()
			m.stalled = ""
			m.mu.Unlock()
			m.cfg.OnStall("")
			return
		}
	}
}

// goOn repeats what failed and reports whether it succeeded.
func (m *Machine) goOn() bool {
	q := m.monitor()
	if q == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), quitPatience)
	defer cancel()
	if q.execute(ctx, "cont", nil, nil) != nil {
		return false
	}
	time.Sleep(stallSettle)
	s, err := m.Status(ctx)
	return err == nil && s == "running"
}

// hopeless reports whether the machine cannot react because of its disk.
func (m *Machine) hopeless() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stalled != "" && time.Since(m.stalledSince) > stallPatience
}

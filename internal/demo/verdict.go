package demo

import (
	"context"
	"fmt"

	"arpeggio/arp/versioned"
	"arpeggio/vcs"
	"arpeggio/vcs/gitremote"
)

// finish closes the host, leaves its repository in its directory, and judges.
func (h *host) finish(hosts []*host) Result {
	h.pull()
	if err := h.table.Close(); err != nil {
		h.fail(fmt.Errorf("save the history: %w", err))
	}
	r := Result{Name: h.name, Addr: h.addr, Dir: h.dir, Sent: h.sent, Received: h.received}
	stats := h.table.Stats()
	r.Commits, r.Merges = stats.Commits, stats.Merges
	for _, row := range h.table.Entries() {
		if row.Entry.State != versioned.Expired {
			r.Entries++
		}
	}
	h.judgeTraffic(hosts)
	h.judgeTable(hosts)
	h.judgeStore()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, err := range h.failures {
		r.Problems = append(r.Problems, err.Error())
	}
	return r
}

// judgeTraffic compares what was sent with what arrived.
func (h *host) judgeTraffic(hosts []*host) {
	h.mu.Lock()
	sent, received := h.sent, h.received
	h.mu.Unlock()
	switch h.role {
	case client:
		if received == 0 || received != sent {
			h.fail(fmt.Errorf("sent %d lines, heard %d echoes", sent, received))
		}
	case listener:
		want := 0
		for _, o := range hosts {
			if o.to == h.addr {
				o.mu.Lock()
				want += o.sent
				o.mu.Unlock()
			}
		}
		if received == 0 || received != want {
			h.fail(fmt.Errorf("heard %d of %d datagrams", received, want))
		}
	}
}

// judgeTable wants the addresses of those that talked with h, and that the one
// that left was given up by its server.
func (h *host) judgeTable(hosts []*host) {
	rows := map[string]versioned.State{}
	for _, row := range h.table.Entries() {
		rows[row.Key.Addr.String()] = row.Entry.State
	}
	for _, o := range hosts {
		if o.to != h.addr && h.to != o.addr {
			continue
		}
		state, ok := rows[o.addr]
		switch {
		case !ok:
			h.fail(fmt.Errorf("%s (%s) is not in the table", o.addr, o.name))
		case o.leaves && state != versioned.Expired:
			h.fail(fmt.Errorf("%s (%s) left and is still %v", o.addr, o.name, state))
		}
	}
}

// judgeStore writes the bare Git directory and checks every object in it.
func (h *host) judgeStore() {
	ctx := context.Background()
	if err := h.store.Sync(ctx); err != nil {
		h.fail(err)
	}
	if !h.live {
		if _, err := gitremote.WriteSnapshot(h.dir, h.store); err != nil {
			h.fail(err)
			return
		}
	}
	dir, err := gitremote.OpenDir(h.dir)
	if err != nil {
		h.fail(err)
		return
	}
	defer dir.Close()
	refs, err := dir.Refs()
	if err != nil {
		h.fail(err)
		return
	}
	report, err := vcs.Verify(ctx, dir, refs, nil)
	if err != nil || !report.OK() {
		h.fail(fmt.Errorf("the repository does not verify: %s %v", report.String(), err))
	}
}

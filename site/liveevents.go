package site

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// heartbeat is how often a stream without news says that it is alive.
const heartbeat = 15 * time.Second

// writeLimit is how long one write to a reader may take before the stream is
// given up: a reader that has gone must not hold its place.
const writeLimit = 10 * time.Second

// parts are the sections of the page that events replace: the name of an event
// is the name of its template and the id of its element.
var parts = []struct {
	name string
	of   func(snapshot) any
}{
	{"neighbors", func(s snapshot) any { return s.Neighbors }},
	{"commits", func(s snapshot) any { return s.Commits }},
	{"interfaces", func(s snapshot) any { return s.Interfaces }},
	{"counters", func(s snapshot) any { return s.Counters }},
}

// serveEvents sends a section of the page, as rendered and escaped as on the
// page, whenever what it shows has changed.
func (l *Live) serveEvents(w http.ResponseWriter, r *http.Request) {
	defer l.streams.Add(-1)
	if l.streams.Add(1) > int32(l.cfg.MaxStreams) {
		w.Header().Set("Retry-After", "30")
		http.Error(w, "Too many readers are watching already.", http.StatusServiceUnavailable)
		return
	}
	rc := http.NewResponseController(w)
	send := func(format string, args ...any) error {
		// A server whose connections know no deadline serves all the same.
		_ = rc.SetWriteDeadline(time.Now().Add(writeLimit))
		if _, err := fmt.Fprintf(w, format, args...); err != nil {
			return err
		}
		return rc.Flush()
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	if send("retry: 3000\n\n") != nil {
		return
	}

	tick := time.NewTicker(l.cfg.Interval)
	defer tick.Stop()
	sent := make([][sha256.Size]byte, len(parts))
	quiet := time.Now()
	for {
		s := l.snap()
		for i, p := range parts {
			sum := digest(p.of(s))
			if sum == sent[i] {
				continue
			}
			html, err := render(p.name, l.data(s, r.Host))
			if err != nil {
				l.log.Error("a part of the live page cannot be rendered", "part", p.name, "err", err)
				return
			}
			data := "data: " + strings.ReplaceAll(html, "\n", "\ndata: ")
			if send("event: %s\nid: %d\n%s\n\n", p.name, s.at.UnixMilli(), data) != nil {
				return
			}
			sent[i], quiet = sum, time.Now()
		}
		if time.Since(quiet) >= heartbeat {
			if send(": still here\n\n") != nil {
				return
			}
			quiet = time.Now()
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		case <-l.ctx.Done():
			return
		}
	}
}

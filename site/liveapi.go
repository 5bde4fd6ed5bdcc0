package site

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// maxAPICommits bounds ?n= of /api/commits; the repository has the rest.
const maxAPICommits = 1000

func (l *Live) serveNeighbors(w http.ResponseWriter, r *http.Request) {
	l.sendJSON(w, nonNil(l.snap().Neighbors))
}

// serveCommits sends the newest commits: /api/commits?n=100.
func (l *Live) serveCommits(w http.ResponseWriter, r *http.Request) {
	n := commitsShown
	if q := r.URL.Query().Get("n"); q != "" {
		v, err := strconv.Atoi(q)
		if err != nil || v < 1 || v > maxAPICommits {
			http.Error(w, "n is a number from 1 to "+strconv.Itoa(maxAPICommits)+".", http.StatusBadRequest)
			return
		}
		n = v
	}
	var cs []Commit
	switch {
	case n <= commitsShown:
		cs = l.snap().Commits
		cs = cs[:min(n, len(cs))]
	case l.cfg.Commits != nil:
		cs = tidyCommits(l.cfg.Commits(n), n)
	}
	l.sendJSON(w, nonNil(cs))
}

// status is the answer of /api/status.
type status struct {
	Node          string      `json:"node"`
	Started       time.Time   `json:"started"`
	UptimeSeconds float64     `json:"uptime_seconds"`
	Neighbors     int         `json:"neighbors"`
	Interfaces    []Interface `json:"interfaces"`
	Counters      []Counter   `json:"counters"`
}

func (l *Live) serveStatus(w http.ResponseWriter, r *http.Request) {
	s := l.snap()
	l.sendJSON(w, status{
		Node: l.cfg.Node, Started: l.cfg.Started.UTC(), UptimeSeconds: s.at.Sub(l.cfg.Started).Seconds(),
		Neighbors: len(s.Neighbors), Interfaces: nonNil(s.Interfaces), Counters: nonNil(s.Counters),
	})
}

// nonNil makes an absent list [] in JSON and not null.
func nonNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func (l *Live) sendJSON(w http.ResponseWriter, v any) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		l.log.Error("an answer cannot be written as JSON", "err", err)
		http.Error(w, "The answer cannot be written as JSON; the log says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(append(b, '\n'))
}

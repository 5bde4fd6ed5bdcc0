package appliance

import (
	"encoding/json"
	"io"
	"net/http"

	"arpeggio/internal/sockstat"
)

// WriteSockets writes a snapshot of the stack's sockets and counters as one JSON
// object, a sockstat.Snapshot.
func (a *Appliance) WriteSockets(w io.Writer) error {
	s := sockstat.Take(a.node.Stack, a.cfg.Node)
	if a.cfg.Recording != nil {
		st := a.cfg.Recording.Stats()
		s.Recording = &st
	}
	return json.NewEncoder(w).Encode(s)
}

// Insight answers other programs of this user: GET /sockets is WriteSockets.
func (a *Appliance) Insight() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sockets", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = a.WriteSockets(w) // nobody is there any more to be told
	})
	return mux
}

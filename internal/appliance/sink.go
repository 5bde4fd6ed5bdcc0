package appliance

import (
	"io"
	"net/http"
	"time"
)

// withSink puts the sink before the site when there is one.
func (a *Appliance) withSink(pages http.Handler) http.Handler {
	if a.cfg.Sink == "" {
		return pages
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != a.cfg.Sink || r.Method != http.MethodPost {
			pages.ServeHTTP(w, r)
			return
		}
		// A measurement may take its time.
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // a connection without deadlines has none to lift
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

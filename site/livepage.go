package site

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"
)

// pageData is what the templates see.
type pageData struct {
	snapshot
	Node, CloneURL, SiteURL string
	Started                 time.Time
	HasHistory              bool
	Now                     time.Time
	Rows                    []commitRow
	GraphWidth              int // CSS pixels
	Reachable               int
}

// commitRow is a commit with its part of the graph.
type commitRow struct {
	Commit
	Short string
	Graph row
}

// pair hands two values to a template that is called inside another.
type pair struct{ A, B any }

// laneStep is the distance between two lines of the graph in CSS pixels.
const laneStep = 14

var funcs = template.FuncMap{
	"age":   age,
	"utc":   func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	"iso":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"unix":  func(t time.Time) int64 { return t.UnixMilli() },
	"group": group,
	"x":     func(col int) int { return laneStep/2 + col*laneStep },
	"lane":  func(col int) int { return col % 5 },
	"pair":  func(a, b any) pair { return pair{a, b} },
	"curve": func(x1, y1, x2, y2 int) string {
		m := (y1 + y2) / 2
		return fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x1, y1, x1, m, x2, m, x2, y2)
	},
}

var page = template.Must(template.New("live.html").Funcs(funcs).ParseFS(assets, "live.html"))

// age words a duration as people say it: 5 s, 3 min, 2 h, 4 d.
func age(now, t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	d := max(now.Sub(t), 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}

// group writes 1234567 as 1 234 567, with narrow spaces.
func group(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// data prepares a snapshot for the templates. host is the Host that the reader
// asked for, which hostAllowed has passed.
func (l *Live) data(s snapshot, host string) pageData {
	d := pageData{
		snapshot: s, Node: l.cfg.Node, Started: l.cfg.Started, Now: s.at,
		CloneURL: l.cfg.CloneURL, SiteURL: l.cfg.SiteURL, HasHistory: l.cfg.History != nil || l.cfg.CloneURL != "",
	}
	if d.CloneURL == "" {
		d.CloneURL = "http://" + host + "/arp.git"
	}
	width := 1
	for i, r := range lanes(s.Commits) {
		c := s.Commits[i]
		d.Rows = append(d.Rows, commitRow{Commit: c, Short: c.ID[:min(len(c.ID), 9)], Graph: r})
		width = max(width, min(r.Width, maxLanes))
	}
	d.GraphWidth = width * laneStep
	for _, n := range s.Neighbors {
		if n.State == "reachable" || n.State == "static" {
			d.Reachable++
		}
	}
	return d
}

// render returns one named part of the page.
func render(part string, d pageData) (string, error) {
	var b strings.Builder
	err := page.ExecuteTemplate(&b, part, d)
	return b.String(), err
}

func (l *Live) servePage(w http.ResponseWriter, r *http.Request) {
	var b bytes.Buffer
	if err := page.ExecuteTemplate(&b, "live.html", l.data(l.snap(), r.Host)); err != nil {
		l.log.Error("the live page cannot be rendered", "err", err)
		http.Error(w, "The page cannot be rendered; the log says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(b.Bytes())
}

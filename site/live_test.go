package site_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"arpeggio/site"
)

// state is what a live page shows in these tests; it may change meanwhile.
type state struct {
	mu        sync.Mutex
	neighbors []site.Neighbor
	commits   []site.Commit
}

func (s *state) set(f func(*state)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

func (s *state) config() site.LiveConfig {
	return site.LiveConfig{
		Node: "node-1",
		Neighbors: func() []site.Neighbor {
			s.mu.Lock()
			defer s.mu.Unlock()
			return append([]site.Neighbor(nil), s.neighbors...)
		},
		Commits: func(n int) []site.Commit {
			s.mu.Lock()
			defer s.mu.Unlock()
			return append([]site.Commit(nil), s.commits[:min(n, len(s.commits))]...)
		},
		Interval: 10 * time.Millisecond,
	}
}

func newLive(t testing.TB, cfg site.LiveConfig) *site.Live {
	l := site.NewLive(cfg)
	t.Cleanup(l.Close)
	return l
}

// serve puts l on a real listener. Streams are ended before the server waits for
// its connections.
func serve(t *testing.T, l *site.Live) *httptest.Server {
	srv := httptest.NewServer(l)
	t.Cleanup(func() {
		l.Close()
		srv.Close()
	})
	return srv
}

func get(h http.Handler, target string) *http.Response {
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", target, nil)
	r.Host = "127.0.0.1:8081"
	h.ServeHTTP(w, r)
	return w.Result()
}

func sampleState() *state {
	return &state{
		neighbors: []site.Neighbor{
			{Interface: "eth0", Addr: netip.MustParseAddr("10.0.3.67"), MAC: "02:50:2a:16:6d:01", State: "reachable", Learned: "reply", FirstSeen: mtime, Confirmed: mtime},
			{Interface: "eth0", Addr: netip.MustParseAddr("10.0.3.9"), State: "incomplete", Learned: "query"},
		},
		commits: []site.Commit{
			{ID: strings.Repeat("b", 40), Subject: "arp: merge expire/1", Author: "node-1", Time: mtime, Parents: []string{strings.Repeat("a", 40), strings.Repeat("c", 40)}, Refs: []string{"primary"}},
			{ID: strings.Repeat("a", 40), Subject: "arp: initial empty cache", Author: "node-1", Time: mtime},
		},
	}
}

func TestLivePage(t *testing.T) {
	cfg := sampleState().config()
	cfg.History = http.NotFoundHandler()
	cfg.SiteURL = "http://127.0.0.1:8080/"
	cfg.Interfaces = func() []site.Interface {
		return []site.Interface{{Name: "eth0", MAC: "02:50:00:00:00:01", Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.3.2/16")}, MTU: 1500}}
	}
	cfg.Counters = func() []site.Counter { return []site.Counter{{Name: "frames_in", Help: "Frames in", Value: 1234567}} }
	res := get(newLive(t, cfg), "/")
	b := body(t, res)
	for _, want := range []string{
		"10.0.3.67", "02:50:2a:16:6d:01", "s-reachable", "s-incomplete", "2 known, 1 reachable",
		"bbbbbbbbb</code>", "arp: merge expire/1", ">primary<", `class="c0 merge"`,
		"git clone http://127.0.0.1:8081/arp.git", "10.0.3.2/16", "MTU 1500", "1\u202f234\u202f567", `href="http://127.0.0.1:8080/"`,
	} {
		if !strings.Contains(b, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if i, j := strings.Index(b, "10.0.3.9<"), strings.Index(b, "10.0.3.67<"); i < 0 || i > j {
		t.Error("neighbours are not in the order of their addresses")
	}
	h := res.Header
	if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("Content-Security-Policy %q", csp)
	}
	if h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cross-Origin-Resource-Policy") != "same-origin" {
		t.Errorf("header %v", h)
	}
	for _, p := range []string{"/assets/live.css", "/assets/live.js", "/favicon.svg"} {
		if res := get(newLive(t, cfg), p); res.StatusCode != 200 || len(body(t, res)) < 100 {
			t.Errorf("%s: %d", p, res.StatusCode)
		}
	}
}

func TestLiveWithoutSources(t *testing.T) {
	l := newLive(t, site.LiveConfig{})
	if b := body(t, get(l, "/")); !strings.Contains(b, "Nobody yet") || strings.Contains(b, "git clone") {
		t.Errorf("page %s", b)
	}
	if b := body(t, get(l, "/api/neighbors")); b != "[]\n" {
		t.Errorf("neighbors %q", b)
	}
	if res := get(l, "/arp.git/info/refs"); res.StatusCode != 404 {
		t.Errorf("arp.git: %d", res.StatusCode)
	}
	if res := get(l, "/metrics"); res.StatusCode != 200 {
		t.Errorf("metrics: %d", res.StatusCode)
	}
}

// Whoever is on the network chooses these strings.
func TestHostileText(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(2)>` + "\u202egnp.exe\n\nevent: neighbors\ndata: x\x00\xff"
	s := &state{
		neighbors: []site.Neighbor{{Interface: evil, VLAN: evil, MAC: evil, State: evil, Learned: evil}},
		commits:   []site.Commit{{ID: evil, Subject: evil, Author: evil, Refs: []string{evil}, Parents: []string{evil}}},
	}
	cfg := s.config()
	cfg.Node, cfg.SiteURL = "n", "javascript:alert(3)"
	cfg.Counters = func() []site.Counter { return []site.Counter{{Name: evil, Help: evil}, {Name: "fine", Help: evil}} }
	cfg.Interfaces = func() []site.Interface { return []site.Interface{{Name: evil, MAC: evil}} }
	cfg.Health = func() error { return errors.New(evil) }
	srv := serve(t, newLive(t, cfg))

	check := func(where, b string) {
		t.Helper()
		for _, bad := range []string{"<script>alert", "<img src=x", "\u202e", "\x00", "\xff", "href=\"javascript:"} {
			if strings.Contains(b, bad) {
				t.Errorf("%s contains %q", where, bad)
			}
		}
	}
	page := body(t, get(srv.Config.Handler, "/"))
	check("page", page)
	if !strings.Contains(page, "&lt;script&gt;alert(1)&lt;/script&gt;") {
		t.Error("the text itself is missing from the page")
	}
	for _, p := range []string{"/api/neighbors", "/api/commits", "/api/status"} {
		res := get(srv.Config.Handler, p)
		b := body(t, res)
		check(p, b)
		if res.Header.Get("Content-Type") != "application/json" || !json.Valid([]byte(b)) {
			t.Errorf("%s: %v", p, res.Header)
		}
	}
	metrics := body(t, get(srv.Config.Handler, "/metrics"))
	if !strings.Contains(metrics, "arpeggio_fine_total 0") || strings.Contains(metrics, "\u202e") {
		t.Errorf("metrics %s", metrics)
	}
	if res := get(srv.Config.Handler, "/healthz"); res.StatusCode != 503 || res.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("healthz %d %v", res.StatusCode, res.Header)
	}
	ev := openEvents(t, srv.URL)
	for range 4 {
		e := ev.next(t)
		check("event "+e.name, e.data)
	}
}

// event is one Server-Sent Event.
type event struct{ name, id, data string }

type eventStream struct {
	res *http.Response
	sc  *bufio.Scanner
}

func openEvents(t *testing.T, url string) *eventStream {
	t.Helper()
	res, err := http.Get(url + "/events")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if ct := res.Header.Get("Content-Type"); res.StatusCode != 200 || ct != "text/event-stream" {
		t.Fatalf("events: %d %s", res.StatusCode, ct)
	}
	sc := bufio.NewScanner(res.Body)
	sc.Buffer(nil, 1<<20)
	return &eventStream{res, sc}
}

// next reads one event as the HTML standard says, §9.2.6.
func (s *eventStream) next(t *testing.T) event {
	t.Helper()
	var e event
	var data []string
	for s.sc.Scan() {
		field, value, _ := strings.Cut(s.sc.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			e.name = value
		case "id":
			e.id = value
		case "data":
			data = append(data, value)
		case "":
			if s.sc.Text() == "" && data != nil {
				e.data = strings.Join(data, "\n")
				return e
			}
		}
	}
	t.Fatalf("the stream ended: %v", s.sc.Err())
	return e
}

func TestEvents(t *testing.T) {
	s := sampleState()
	l := newLive(t, s.config())
	srv := serve(t, l)
	ev := openEvents(t, srv.URL)
	var names []string
	for range 4 {
		e := ev.next(t)
		names = append(names, e.name)
		if e.name == "neighbors" && (!strings.Contains(e.data, "10.0.3.67") || e.id == "") {
			t.Errorf("first event %+v", e)
		}
	}
	if !reflect.DeepEqual(names, []string{"neighbors", "commits", "interfaces", "counters"}) {
		t.Errorf("first events %v", names)
	}
	// Only what changes is sent again: first a commit, then a neighbour.
	s.set(func(s *state) {
		s.commits = append([]site.Commit{{ID: strings.Repeat("d", 40), Subject: "arp: a new one", Parents: []string{strings.Repeat("b", 40)}}}, s.commits...)
	})
	if e := ev.next(t); e.name != "commits" || !strings.Contains(e.data, "arp: a new one") {
		t.Errorf("after a commit: %+v", e)
	}
	s.set(func(s *state) { s.neighbors = s.neighbors[:1] })
	if e := ev.next(t); e.name != "neighbors" || strings.Contains(e.data, "10.0.3.9<") {
		t.Errorf("after a neighbour left: %+v", e)
	}
	// Close ends the stream, so that the server can shut down.
	l.Close()
	for ev.sc.Scan() {
	}
	if err := ev.sc.Err(); err != nil {
		t.Errorf("the stream ended with %v", err)
	}
}

func TestEventsAreBounded(t *testing.T) {
	cfg := sampleState().config()
	cfg.MaxStreams = 1
	srv := serve(t, newLive(t, cfg))
	ev := openEvents(t, srv.URL)
	ev.next(t)
	res, err := http.Get(srv.URL + "/events")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Errorf("second reader: %d %v", res.StatusCode, res.Header)
	}
	ev.res.Body.Close() // the place becomes free again
	for try := 0; ; try++ {
		res, err := http.Get(srv.URL + "/events")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode == 200 {
			break
		}
		if try == 500 {
			t.Fatal("the place of a reader who left was not given away")
		}
		time.Sleep(10 * time.Millisecond) // a real connection's end is noticed in real time
	}
}

func TestAPI(t *testing.T) {
	l := newLive(t, sampleState().config())
	var ns []site.Neighbor
	if err := json.Unmarshal([]byte(body(t, get(l, "/api/neighbors"))), &ns); err != nil || len(ns) != 2 || ns[1].MAC != "02:50:2a:16:6d:01" {
		t.Errorf("neighbors %v, %v", ns, err)
	}
	var cs []site.Commit
	if err := json.Unmarshal([]byte(body(t, get(l, "/api/commits?n=1"))), &cs); err != nil || len(cs) != 1 || len(cs[0].Parents) != 2 {
		t.Errorf("commits %v, %v", cs, err)
	}
	if err := json.Unmarshal([]byte(body(t, get(l, "/api/commits?n=1000"))), &cs); err != nil || len(cs) != 2 {
		t.Errorf("commits %v, %v", cs, err)
	}
	for _, n := range []string{"0", "-1", "x", "1001", "99999999999999999999"} {
		if res := get(l, "/api/commits?n="+n); res.StatusCode != 400 {
			t.Errorf("n=%s: %d", n, res.StatusCode)
		}
	}
	var st struct {
		Node      string
		Neighbors int
	}
	if err := json.Unmarshal([]byte(body(t, get(l, "/api/status"))), &st); err != nil || st.Node != "node-1" || st.Neighbors != 2 {
		t.Errorf("status %+v, %v", st, err)
	}
	w := httptest.NewRecorder()
	l.ServeHTTP(w, httptest.NewRequest("POST", "http://127.0.0.1/api/neighbors", nil))
	if w.Code != 405 {
		t.Errorf("POST: %d", w.Code)
	}
}

func TestHealth(t *testing.T) {
	var err error
	l := newLive(t, site.LiveConfig{Health: func() error { return err }})
	if res := get(l, "/healthz"); res.StatusCode != 200 || body(t, res) != "ok\n" {
		t.Errorf("healthy: %d", res.StatusCode)
	}
	err = errors.New("the store is full")
	if res := get(l, "/healthz"); res.StatusCode != 503 || body(t, res) != "the store is full\n" {
		t.Errorf("ill: %d", res.StatusCode)
	}
}

// DNS rebinding makes a browser ask this server under a stranger's name.
func TestHostNames(t *testing.T) {
	l := newLive(t, site.LiveConfig{Hosts: []string{"mgmt.example.org"}})
	for host, code := range map[string]int{
		"127.0.0.1:8081": 200, "10.0.3.2": 200, "[::1]:8081": 200, "[::1]": 200, "localhost:8081": 200, "node-1": 200,
		"node.local": 200, "node.lan:80": 200, "a.home.arpa.": 200, "MGMT.example.org:8081": 200, "": 200,
		"evil.example": 421, "127.0.0.1.evil.example:8081": 421, "xmgmt.example.org": 421, "local.": 200, "notlocal.com": 421, "user@host": 421,
	} {
		for _, p := range []string{"/", "/api/neighbors", "/healthz"} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest("GET", p, nil)
			r.Host = host
			l.ServeHTTP(w, r)
			want := code
			if p == "/healthz" {
				want = 200
			}
			if w.Code != want {
				t.Errorf("Host %q %s: %d, want %d", host, p, w.Code, want)
			}
		}
	}
}

func TestHistoryIsMounted(t *testing.T) {
	l := newLive(t, site.LiveConfig{History: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Method, " ", r.URL.Path, "?", r.URL.RawQuery)
	})})
	if b := body(t, get(l, "/arp.git/info/refs?service=git-upload-pack")); b != "GET /info/refs?service=git-upload-pack" {
		t.Errorf("got %q", b)
	}
	w := httptest.NewRecorder()
	l.ServeHTTP(w, httptest.NewRequest("POST", "http://localhost/arp.git/git-upload-pack", nil))
	if w.Body.String() != "POST /git-upload-pack?" {
		t.Errorf("got %q", w.Body)
	}
}

func ExampleNewLive() {
	l := site.NewLive(site.LiveConfig{
		Node: "vm-1",
		Neighbors: func() []site.Neighbor {
			return []site.Neighbor{{Interface: "eth0", Addr: netip.MustParseAddr("10.0.3.67"), MAC: "02:50:2a:16:6d:01", State: "reachable"}}
		},
	})
	defer l.Close()
	w := httptest.NewRecorder()
	l.ServeHTTP(w, httptest.NewRequest("GET", "http://127.0.0.1:8081/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "arpeggio_neighbor_entries{") {
			fmt.Print(line)
		}
	}
	// Output:
	// arpeggio_neighbor_entries{family="ipv4",state="reachable",vlan=""} 1
}

package sink

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/arp/observe"
)

// patience is how long a test waits, on a busy machine, for what must come.
const patience = time.Minute

// ending returns a context that ends after a time.
func ending(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestWebhook(t *testing.T) {
	var got []map[string]any
	tries := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if r.Method != "POST" || r.Header.Get("Authorization") != "Bearer x" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %v", r.Method, r.Header)
		}
		if tries++; tries == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			t.Error(err)
		}
		got = append(got, m)
	}))
	defer srv.Close()
	s, err := Webhook(WebhookConfig{URL: srv.URL + "/secret", Header: http.Header{"Authorization": {"Bearer x"}}})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(s.Name(), "secret") {
		t.Errorf("its name is %q", s.Name())
	}
	for _, typ := range []observe.Type{observe.NewStation, observe.Changed, observe.FlipFlop} {
		Group{s}.Tell(&line(typ).Record, commit)
	}
	s.Close(ending(t, patience))
	if c := s.Counts(); c != (Counts{Delivered: 3}) {
		t.Errorf("%+v", c)
	}
	if tries != 4 || len(got) != 3 || got[0]["type"] != "new-station" || got[2]["type"] != "flip-flop" {
		t.Errorf("%d requests, %v", tries, got)
	}
}

// An answer that will not change is not asked for again.
func TestWebhookRefused(t *testing.T) {
	var tries atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tries.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}))
	defer srv.Close()
	s, err := Webhook(WebhookConfig{URL: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	s.Tell(line(observe.Changed))
	s.Close(ending(t, patience))
	if c := s.Counts(); c != (Counts{Failed: 1}) || tries.Load() != 1 {
		t.Errorf("%+v after %d requests", c, tries.Load())
	}
}

// A server that hangs delays nobody: telling does not wait, closing ends on time,
// and what was not delivered is counted.
func TestWebhookHangs(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer srv.Close()
	defer close(release)
	s, err := Webhook(WebhookConfig{URL: srv.URL, Timeout: time.Hour, Options: Options{Queue: 10}})
	if err != nil {
		t.Fatal(err)
	}
	const n = 5000
	start := time.Now()
	for range n {
		s.Tell(line(observe.NewStation))
	}
	told := time.Since(start)
	if told > patience {
		t.Errorf("telling %d events took %v", n, told)
	}
	if d := s.Counts().Dropped; d < n-11 {
		t.Errorf("%d dropped while it hangs", d)
	}
	start = time.Now()
	s.Close(ending(t, 50*time.Millisecond))
	if d := time.Since(start); d > patience {
		t.Errorf("closing took %v", d)
	}
	if c := s.Counts(); c != (Counts{Dropped: n}) || c.Missing() != n {
		t.Errorf("%+v", c)
	}
}

func TestWebhookURL(t *testing.T) {
	for _, u := range []string{"", "example.org", "ftp://example.org/", "http://", "http://%zz"} {
		if _, err := Webhook(WebhookConfig{URL: u}); err == nil {
			t.Errorf("%q is accepted", u)
		}
	}
}

// A queue that may wait loses nothing, gives up on a dead receiver after its
// patience, and from then on tries each event once.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		q := newQueue("test", Options{Queue: 1, Wait: make(chan struct{}), Patience: 10 * time.Second})
		start := time.Now()
		q.start(1, func(ctx context.Context, l *observe.Line) error {
			return q.retry(ctx, func(context.Context) error { tries++; return io.ErrClosedPipe })
		}, nil)
		for range 20 {
			q.Tell(line(observe.NewStation))
		}
		q.Close(t.Context())
		if c := q.Counts(); c != (Counts{Failed: 20}) {
			t.Errorf("%+v", c)
		}
		// 0.25 + 0.5 + 1 + 2 + 4 s, then the next pause would be too long.
		if d := time.Since(start); d != 7750*time.Millisecond || tries != 6+19 {
			t.Errorf("%d tries in %v", tries, d)
		}
	})
}

// Waiting for room ends with the run.
func TestWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait := make(chan struct{})
		q := newQueue("test", Options{Queue: 1, Wait: wait})
		q.start(1, func(ctx context.Context, l *observe.Line) error {
			<-ctx.Done()
			return ctx.Err()
		}, nil)
		time.AfterFunc(time.Second, func() { close(wait) })
		for range 5 {
			q.Tell(line(observe.NewStation))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		q.Close(ctx)
		if c := q.Counts(); c != (Counts{Dropped: 5}) {
			t.Errorf("%+v", c)
		}
	})
}

func TestSyslogUDP(t *testing.T) {
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := Syslog(SyslogConfig{Addr: l.LocalAddr().String(), Header: Header{Hostname: "here"}})
	if err != nil {
		t.Fatal(err)
	}
	s.Tell(line(observe.Changed))
	s.Close(ending(t, patience))
	b := make([]byte, 2000)
	l.SetReadDeadline(time.Now().Add(patience))
	n, _, err := l.ReadFrom(b)
	if err != nil || !strings.HasPrefix(string(b[:n]), "<29>1 ") || !strings.HasSuffix(string(b[:n]), "] changed ethernet address 10.9.0.7 52:54:00:00:00:0b (02:00:00:00:00:0a) eth0") {
		t.Errorf("%q, %v", b[:n], err)
	}
}

// Unix sockets of both kinds, as log daemons have them.
func TestSyslogUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := Syslog(SyslogConfig{Addr: path})
	if err != nil {
		t.Fatal(err)
	}
	s.Tell(line(observe.FlipFlop))
	s.Close(ending(t, patience))
	b := make([]byte, 2000)
	n, _, err := l.ReadFrom(b)
	if err != nil || !strings.Contains(string(b[:n]), "] flip flop 10.9.0.7") {
		t.Errorf("%q, %v", b[:n], err)
	}
}

// Over TCP each message has its length before it, and a connection that breaks is
// made anew.
func TestSyslogTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := Syslog(SyslogConfig{Addr: "tcp:" + l.Addr().String(), Header: Header{Hostname: "here"}})
	if err != nil {
		t.Fatal(err)
	}
	want := string(Header{Hostname: "here"}.Message(line(observe.Changed)))
	want = strconv.Itoa(len(want)) + " " + want
	told := uint64(0)
	for range 2 {
		accepted := make(chan net.Conn)
		go func() {
			conn, err := l.Accept()
			if err != nil {
				t.Error(err)
			}
			accepted <- conn
		}()
		// What is sent before the sender has seen the end is lost.
		var conn net.Conn
		for conn == nil {
			s.Tell(line(observe.Changed))
			told++
			select {
			case conn = <-accepted:
			case <-time.After(20 * time.Millisecond):
			}
		}
		b := make([]byte, len(want))
		if _, err := io.ReadFull(conn, b); err != nil || string(b) != want {
			t.Errorf("%q, %v; want %q", b, err, want)
		}
		conn.Close()
	}
	s.Close(ending(t, patience))
	if c := s.Counts(); c.Delivered+c.Missing() != told || c.Delivered < 2 {
		t.Errorf("told %d: %+v", told, c)
	}
}

func TestSyslogAddr(t *testing.T) {
	for in, want := range map[string]string{
		"/dev/log": "unixgram /dev/log", "unix:/run/log": "unixgram /run/log",
		"loghost": "udp loghost:514", "loghost:5140": "udp loghost:5140", "udp:loghost": "udp loghost:514", "udp://loghost:1": "udp loghost:1",
		"tcp:10.0.0.1:601": "tcp 10.0.0.1:601", "tcp:[::1]:601": "tcp [::1]:601", "udp:::1": "udp [::1]:514", "[::1]": "udp [::1]:514", "::1": "udp [::1]:514",
	} {
		networks, addr, err := syslogAddr(in)
		if err != nil || networks[0]+" "+addr != want {
			t.Errorf("%s: %v %s, %v; want %s", in, networks, addr, err, want)
		}
	}
	for _, in := range []string{"", "tcp:", "udp:loghost:0", "loghost:x", "loghost:70000", "tcp:a/b:1", "unix:"} {
		if networks, addr, err := syslogAddr(in); err == nil {
			t.Errorf("%q: %v %s", in, networks, addr)
		}
	}
}

func TestExec(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("OUT", dir)
	s, err := Exec(ExecConfig{Command: `cat > "$OUT/$ARPEGGIO_TYPE.json"; echo "$ARPEGGIO_IP $ARPEGGIO_MAC $ARPEGGIO_VENDOR $ARPEGGIO_VLAN" > "$OUT/$ARPEGGIO_TYPE.env"; test $ARPEGGIO_TYPE = changed`})
	if err != nil {
		t.Fatal(err)
	}
	s.Tell(line(observe.Changed))
	s.Tell(line(observe.FlipFlop))
	s.Close(ending(t, patience))
	if c := s.Counts(); c != (Counts{Delivered: 1, Failed: 1}) {
		t.Errorf("%+v", c)
	}
	b, err := os.ReadFile(filepath.Join(dir, "flip-flop.json"))
	if err != nil || !json.Valid(b) || !strings.Contains(string(b), `"type":"flip-flop"`) {
		t.Errorf("standard input was %q, %v", b, err)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "changed.env")); string(b) != "10.9.0.7 52:54:00:00:00:0b QEMU/KVM 0\n" {
		t.Errorf("the environment had %q", b)
	}
}

// At most so many run at a time, and one that takes too long is killed with its
// children.
func TestExecBounds(t *testing.T) {
	for timeout := 2 * time.Second; !execBounds(t, timeout); timeout *= 2 {
		if timeout > patience {
			t.Fatal("no two commands began")
		}
	}
}

// execBounds is false when commands were killed before they had begun: a busy
// machine needs longer to start them.
func execBounds(t *testing.T, timeout time.Duration) bool {
	dir := t.TempDir()
	t.Setenv("OUT", dir)
	s, err := Exec(ExecConfig{Command: `echo x > "$OUT/$$"; (sleep 300; echo no > "$OUT/survived") & wait`, Parallel: 2, Timeout: timeout, Options: Options{Queue: 1}})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for range 2 { // each of the two takes one, however late its turn comes
		s.Tell(line(observe.Changed))
		for len(s.(*queue).lines) > 0 {
			time.Sleep(time.Millisecond)
		}
	}
	var all sync.WaitGroup
	for range 48 {
		all.Go(func() { s.Tell(line(observe.Changed)) })
	}
	all.Wait()
	told := time.Since(start)
	began := func() (began, alive int) {
		names, _ := filepath.Glob(dir + "/*")
		for _, name := range names {
			if pid, err := strconv.Atoi(filepath.Base(name)); err == nil && syscall.Kill(pid, 0) == nil {
				alive++
			}
		}
		return len(names), alive
	}
	most := 0
	for n := 0; n < 2 && time.Since(start) < 2*timeout; time.Sleep(5 * time.Millisecond) {
		var alive int
		n, alive = began()
		most = max(most, alive)
	}
	s.Close(ending(t, 2*patience))
	n, left := began()
	c := s.Counts()
	if c.Failed < 2 || told < timeout && c.Failed > 3 || c.Failed+c.Dropped != 50 || most > 2 || left > 0 {
		t.Errorf("%+v, %d at a time, %d are left", c, most, left)
	}
	if d := time.Since(start); d > 2*patience {
		t.Errorf("it took %v", d)
	}
	return n >= 2
}

// One sink that hangs delays no other.
func TestGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := newQueue("dead", Options{Queue: 1}).start(1, func(ctx context.Context, _ *observe.Line) error {
			<-ctx.Done()
			return ctx.Err()
		}, nil)
		var got []string
		alive := newQueue("alive", Options{}).start(1, func(_ context.Context, l *observe.Line) error {
			got = append(got, l.Record.Type.String()+" "+l.Commit)
			return nil
		}, nil)
		g := Group{dead, alive}
		r := line(observe.Changed).Record
		g.Tell(&r, "1")
		r.Type = observe.FlipFlop // the group has a copy
		g.Tell(&r, "2")
		g.Tell(&r, "3")
		synctest.Wait()
		if want := []string{"changed 1", "flip-flop 2", "flip-flop 3"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		g.Close(ctx)
		if c := dead.Counts(); c != (Counts{Dropped: 3}) {
			t.Errorf("dead: %+v", c)
		}
	})
}

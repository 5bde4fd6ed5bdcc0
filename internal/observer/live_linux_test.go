package observer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/observe"
	"arpeggio/internal/netns"
	"arpeggio/stack/capture"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
	"arpeggio/tuntap"
	"arpeggio/vcs"
)

// lab is an interface that is watched, and the other end of its cable.
type lab struct {
	t         *testing.T
	here, far *netns.Namespace
	peer      *tuntap.Packet // the far end
	notes     notes
	sent      atomic.Uint64 // frames, to whoever watches
}

type notes struct {
	mu    sync.Mutex
	lines []string
}

func (n *notes) add(s string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, s)
}

func (n *notes) has(part string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Contains(strings.Join(n.lines, "\n"), part)
}

func newLab(t *testing.T) *lab {
	t.Helper()
	here, far, err := netns.Pair("va", "vb")
	if errors.Is(err, netns.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { here.Close(); far.Close() })
	l := &lab{t: t, here: here, far: far}
	l.peer = l.open(far, "vb")
	return l
}

func (l *lab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) open(ns *netns.Namespace, name string) (p *tuntap.Packet) {
	l.t.Helper()
	l.must(ns.Do(func() (err error) {
		p, err = tuntap.OpenPacket(tuntap.PacketConfig{Interface: name, Promiscuous: true, Buffer: 64 << 20})
		return err
	}))
	l.t.Cleanup(func() { p.Close() })
	return p
}

// send sends frames from the far end.
func (l *lab) send(frames ...[]byte) {
	l.t.Helper()
	fs := make([]link.Frame, len(frames))
	for i := range fs {
		fs[i].Head = frames[i]
	}
	for len(fs) > 0 {
		n, err := l.peer.WriteFrames(fs[:min(64, len(fs))])
		l.must(err)
		fs = fs[n:]
		l.sent.Add(uint64(n))
	}
}

// run is a live run under way.
type run struct {
	*Observer
	l      *lab
	live   *Live
	record bytes.Buffer
	cancel context.CancelFunc
	done   chan error
	store  *vcs.Store
	told   []string
}

func (l *lab) watch(ns *netns.Namespace, ifaces ...string) *run {
	l.t.Helper()
	r := l.prepare(ns, ifaces...)
	r.start()
	return r
}

// prepare opens interfaces, from which on nothing is lost.
func (l *lab) prepare(ns *netns.Namespace, ifaces ...string) *run {
	l.t.Helper()
	r := &run{l: l, done: make(chan error, 1)}
	l.must(ns.Do(func() (err error) {
		r.live, err = OpenLive(LiveConfig{Interfaces: ifaces, Note: l.notes.add})
		return err
	}))
	w, err := capture.NewWriter(&r.record, capture.WriterConfig{})
	l.must(err)
	r.Observer, r.store = newTestObserver(l.t, Config{Record: w, Patience: 10 * time.Millisecond,
		Tell: func(e *observe.Record, commit string) { r.told = append(r.told, e.Type.String()+" "+commit) }})
	return r
}

func (r *run) start() {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() {
		err := r.live.Watch(ctx, r.Observer)
		r.done <- errors.Join(err, r.Close(context.Background()), r.live.Close())
	}()
}

// patience is how long a test waits, on a busy machine, for what must come.
const patience = time.Minute

// until waits until the counts are as they should be, or for as long as patience
// lasts: then the test says what they are.
func (r *run) until(ok func(Stats) bool) {
	for end := time.Now().Add(patience); !ok(r.Latest()) && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
}

// stop ends the run when it has seen what was sent, and reads its recording into
// a repository of its own: the commits must be the same.
func (r *run) stop() Stats {
	t := r.l.t
	t.Helper()
	r.until(func(st Stats) bool { return st.Frames >= r.l.sent.Load() })
	r.cancel()
	r.l.must(<-r.done)
	again, _ := newTestObserver(t, Config{})
	in := iotestReader{bytes.NewReader(r.record.Bytes())}
	file, err := capture.NewReader(&in)
	r.l.must(err)
	r.l.must(again.readPackets(context.Background(), file))
	r.l.must(again.Close(context.Background()))
	if a, b := r.cfg.Journal.Head(), again.cfg.Journal.Head(); a != b || a.IsZero() {
		t.Errorf("the live run ends at %v, its recording at %v", a, b)
	}
	return r.Stats()
}

// iotestReader reads a few octets at a time, as from a pipe.
type iotestReader struct{ r io.Reader }

func (x *iotestReader) Read(b []byte) (int, error) { return x.r.Read(b[:min(len(b), 777)]) }

// who is a frame of a station that asks for the gateway.
func who(n int, ip string, vlan ethernet.VLAN) []byte {
	mac := ethernet.Addr{2, 0x50, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	h := ethernet.Header{Dst: ethernet.Broadcast, Src: mac, Type: ethernet.TypeARP}
	h.SetVLAN(vlan)
	p := arp.Packet{Op: arp.OpRequest, SenderMAC: mac, SenderIP: netip.MustParseAddr(ip), TargetIP: netip.MustParseAddr("10.9.0.1")}
	return p.AppendTo(h.AppendTo(nil))
}

// Tags and moves, an address conflict, a flood: what a live run commits is what
// its recording says, commit for commit; and the observer has sent nothing.
func TestLiveEqualsItsRecording(t *testing.T) {
	l := newLab(t)
	l.must(l.here.IP("addr", "add", "10.9.0.1/24", "dev", "va"))
	r := l.watch(l.here, "va")
	for round := range 3 {
		for i := range 30 {
			l.send(who(i+round%2*1000, fmt.Sprintf("10.9.0.%d", i+2), ethernet.VLAN{}),
				who(i, fmt.Sprintf("10.9.0.%d", i+2), ethernet.VLAN{Inner: 5}),
				who(i, fmt.Sprintf("10.9.0.%d", i+2), ethernet.VLAN{Outer: 100, Inner: 5}),
				who(i, fmt.Sprintf("172.16.0.%d", i+2), ethernet.VLAN{}))
			time.Sleep(time.Millisecond)
		}
	}
	for i := range 400 {
		l.send(who(5000+i, fmt.Sprintf("10.9.%d.%d", 10+i/200, i%200), ethernet.VLAN{Inner: 7}))
	}
	st := r.stop()
	if st.Frames < 3*30*4+400 || st.Lost > 0 || st.Engine.Events[observe.Flood] == 0 || st.Engine.Events[observe.Bogon] == 0 {
		t.Errorf("%+v", st)
	}
	head := r.cfg.Journal.Head()
	for _, k := range []arp.Key{{Domain: "lan", VLAN: ethernet.VLAN{Outer: 100, Inner: 5}, Addr: netip.MustParseAddr("10.9.0.9")},
		{Domain: "lan", VLAN: ethernet.VLAN{Inner: 7}, Addr: netip.MustParseAddr("10.9.11.99")}} {
		snap, err := r.cfg.Journal.Repo().AtCommit(head)
		l.must(err)
		if _, ok, err := snap.Get(k); err != nil || !ok {
			t.Errorf("%v is not in the history: %v", k, err)
		}
	}
}

// Two interfaces in one run, whose frames arrive interleaved.
func TestLiveMergesInterfaces(t *testing.T) {
	l := newLab(t)
	l.must(l.here.IP("link", "add", "wa", "type", "veth", "peer", "name", "wb", "netns", l.far.Name))
	l.must(l.here.IP("link", "set", "wa", "up"))
	l.must(l.far.IP("link", "set", "wb", "up"))
	l.must(l.here.WaitUp("wa"))
	other := l.open(l.far, "wb")
	r := l.watch(l.here, "va", "wa")
	var sent sync.WaitGroup
	for k, p := range []*tuntap.Packet{l.peer, other} {
		sent.Go(func() {
			for i := range 60 {
				if n, err := p.WriteFrames([]link.Frame{{Head: who(i+k*100, fmt.Sprintf("10.9.0.%d", i+2), ethernet.VLAN{})}}); n != 1 || err != nil {
					t.Error(n, err)
				}
				l.sent.Add(1)
				time.Sleep(time.Duration(i%3) * 300 * time.Microsecond)
			}
		})
	}
	sent.Wait()
	if st := r.stop(); st.Frames != 120 {
		t.Errorf("%+v", st)
	}
	snap, err := r.cfg.Journal.Repo().AtCommit(r.cfg.Journal.Head())
	l.must(err)
	for _, domain := range []string{"va", "wa"} {
		if _, ok, _ := snap.Get(arp.Key{Domain: domain, Addr: netip.MustParseAddr("10.9.0.9")}); !ok {
			t.Errorf("nothing of %s", domain)
		}
	}
	last := time.Time{}
	file, err := capture.NewReader(bytes.NewReader(r.record.Bytes()))
	l.must(err)
	for {
		p, err := file.Next()
		if err != nil {
			break
		}
		if p.Time.Before(last.Add(-observe.MaxStep)) { // less than that is late, on a busy machine
			t.Errorf("%v comes after %v", p.Time, last)
		}
		last = p.Time
	}
}

// Frames wait until no earlier one of another interface can come, and are then
// observed in the order of their timestamps.
func TestLiveWaitsForEarlierFrames(t *testing.T) {
	var record bytes.Buffer
	w, err := capture.NewWriter(&record, capture.WriterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	o, _ := newTestObserver(t, Config{Record: w})
	base := time.Unix(1_800_000_000, 0)
	after := func(ms int) time.Time { return base.Add(time.Duration(ms) * time.Millisecond) }
	l := &Live{cards: []*card{{until: after(4)}, {until: after(7)}}}
	for k, times := range [][]int{{1, 3, 5}, {2, 3, 4, 6}} {
		c := l.cards[k]
		if c.number, err = o.AddInterface(capture.Interface{Name: fmt.Sprint("v", k), LinkType: capture.LinkTypeEthernet}, false); err != nil {
			t.Fatal(err)
		}
		for _, ms := range times {
			from := len(c.data)
			c.data = append(c.data, who(k*100+ms, fmt.Sprintf("10.9.%d.%d", k, ms), ethernet.VLAN{})...)
			c.queue = append(c.queue, frame{at: after(ms), from: from, to: len(c.data)})
		}
	}
	seen := func() (s string) {
		if err := errors.Join(l.observe(t.Context(), o, false), w.Flush()); err != nil {
			t.Fatal(err)
		}
		file, err := capture.NewReader(bytes.NewReader(record.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		for p, err := file.Next(); err == nil; p, err = file.Next() {
			s += fmt.Sprintf(" %d of v%d", p.Time.Sub(base)/time.Millisecond, p.Interface)
		}
		return s
	}
	want := " 1 of v0 2 of v1 3 of v0 3 of v1 4 of v1"
	if got := seen(); got != want {
		t.Errorf("observed%s, want%s", got, want)
	}
	l.cards[0].until = after(7)
	if got := seen(); got != want+" 5 of v0 6 of v1" {
		t.Errorf("observed%s, want the other two behind%s", got, want)
	}
}

// Ten thousand frames within a tenth of a second: none is lost.
func TestLiveBurst(t *testing.T) {
	l := newLab(t)
	r := l.watch(l.here, "va")
	const frames = 10_000
	var all [][]byte
	for i := range frames {
		all = append(all, who(i, fmt.Sprintf("10.9.%d.%d", i/250, i%250), ethernet.VLAN{}))
	}
	time.Sleep(20 * time.Millisecond)
	start := time.Now()
	l.send(all...)
	took := time.Since(start)
	st := r.stop()
	t.Logf("%d frames within %v: %d seen, %d lost, %d commits", frames, took, st.Frames, st.Lost, st.Journal.Commits)
	if st.Frames != frames || st.Lost > 0 || r.live.Lost() > 0 {
		t.Errorf("%d of %d frames, %d lost", st.Frames, frames, st.Lost)
	}
}

// A run that is seconds behind its frames divides no second of a flood.
func TestLiveBehind(t *testing.T) {
	l := newLab(t)
	r := l.prepare(l.here, "va")
	for i := range 2 * readMost {
		l.send(who(i, fmt.Sprintf("10.9.%d.%d", i/250, i%250), ethernet.VLAN{}))
	}
	time.Sleep(foldedPatience + time.Second)
	r.start()
	if st := r.stop(); st.Frames != 2*readMost || st.Journal.Folded == 0 {
		t.Errorf("%+v", st)
	}
}

// An observer sends nothing, whatever it sees.
func TestLiveSendsNothing(t *testing.T) {
	l := newLab(t)
	r := l.watch(l.here, "va")
	for i := range 50 {
		l.send(who(i, fmt.Sprintf("10.9.0.%d", i), ethernet.VLAN{}))
	}
	time.Sleep(300 * time.Millisecond)
	r.stop()
	fs := make([]link.Frame, 8)
	if n, err := l.peer.ReadFrames(fs); n > 0 || err != nil {
		t.Errorf("%d frames came from the observer's end, the first % x; %v", n, fs[0].Head, err)
	}
}

// The interface goes down, vanishes and comes back: the run goes on.
func TestLiveInterfaceComesAndGoes(t *testing.T) {
	l := newLab(t)
	r := l.watch(l.here, "va")
	wait := func(note string) {
		t.Helper()
		for deadline := time.Now().Add(patience); !l.notes.has(note); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("no %q in %q", note, l.notes.lines)
			}
		}
	}
	l.send(who(1, "10.9.0.1", ethernet.VLAN{}))
	r.until(func(st Stats) bool { return st.Frames == 1 })
	l.must(l.here.IP("link", "set", "va", "down"))
	wait("va is down")
	l.must(l.here.IP("link", "set", "va", "up"))
	wait("va is up")
	l.must(l.far.WaitUp("vb"))
	l.send(who(2, "10.9.0.2", ethernet.VLAN{}))
	r.until(func(st Stats) bool { return st.Frames == 2 })
	l.must(l.here.IP("link", "del", "va"))
	wait("va was removed")
	l.must(l.here.IP("link", "add", "va", "type", "veth", "peer", "name", "vb", "netns", l.far.Name))
	l.must(l.far.IP("link", "set", "vb", "up"))
	l.notes.mu.Lock()
	l.notes.lines = nil
	l.notes.mu.Unlock()
	l.must(l.here.IP("link", "set", "va", "up"))
	wait("va is up")
	l.must(l.far.WaitUp("vb"))
	l.peer = l.open(l.far, "vb")
	l.send(who(3, "10.9.0.3", ethernet.VLAN{}))
	st := r.stop()
	if st.Journal.Entries != 3 {
		t.Errorf("%+v; notes %q", st, l.notes.lines)
	}
}

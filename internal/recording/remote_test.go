package recording

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/arp"
	"arpeggio/internal/control"
	"arpeggio/stack"
	"arpeggio/stack/capture"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/link"
	"arpeggio/stack/tcp"
	"arpeggio/vcs"
)

// given is a device that has received something.
type given struct {
	link.Device
	frames [][]byte
}

func (g *given) ReadFrames(f []link.Frame) (int, error) {
	for i, b := range g.frames {
		f[i] = link.Frame{Head: b[:20:20], Payload: [][]byte{b[20:]}}
	}
	return len(g.frames), nil
}

func segment(s tcp.Segment, data string) []byte {
	h := s.AppendHeader(nil)
	return frame(0, ethernet.TypeIPv4, append(packet(ipv4.ProtoTCP, 0, append(h, data...)), 0, 0, 0)) // padded
}

// The machine and whoever records outside agree on a frame, also where the
// machine's kernel has joined two into one.
func TestMarks(t *testing.T) {
	ack := tcp.Segment{SrcPort: 4000, DstPort: 80, Seq: 100, Ack: 7, Flags: tcp.ACK}
	fin, joined, other, syn := ack, ack, ack, ack
	fin.Seq, fin.Flags = 104, tcp.ACK|tcp.FIN|tcp.PSH
	joined.Flags = tcp.ACK | tcp.FIN
	other.Ack = 8
	syn.Flags = tcp.SYN
	later := frame(0, ethernet.TypeIPv4, packet(ipv4.ProtoTCP, 8, make([]byte, 40)))
	f := make([]link.Frame, 8)
	frames := [][]byte{segment(ack, "data"), segment(fin, "end"), segment(joined, "dataend"), segment(other, "data"), segment(syn, ""), later}
	n, err := marked{&given{frames: frames}}.ReadFrames(f)
	if n != len(frames) || err != nil {
		t.Fatal(n, err)
	}
	if f[1].Tag != f[2].Tag {
		t.Errorf("%x is not %x, which was joined with what is before it", f[1].Tag, f[2].Tag)
	}
	seen := map[uint64]bool{0: true}
	for _, i := range []int{0, 1, 3, 4, 5} {
		if seen[f[i].Tag] {
			t.Errorf("frame %d has the mark %x of another one", i, f[i].Tag)
		}
		seen[f[i].Tag] = true
		if l := label(capture.In, frames[i]); i < 5 && l.Mark != f[i].Tag {
			t.Errorf("frame %d is marked %x outside and %x inside", i, l.Mark, f[i].Tag)
		}
	}
}

// What a Reporter tells stands beside the frames that somebody else has recorded.
func TestRemote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "t.pcapng")
		f, err := Create(path, 0)
		if err != nil {
			t.Fatal(err)
		}
		notes := StartRemote(f)
		wire := notes.Monitor("guest", ethernet.Addr{})
		time.Sleep(time.Hour) // the machine is younger
		take := notes.Remote()
		rep := NewReporter(func(m control.Message) error {
			time.Sleep(100 * time.Millisecond) // on the way
			line, err := m.Append(nil)
			if err != nil {
				return err
			}
			back, err := control.Parse(bytes.TrimSpace(line))
			if err != nil {
				return err
			}
			take(*back.Noted)
			return nil
		})
		local, remote := netip.MustParseAddrPort("10.0.0.2:80"), netip.MustParseAddrPort("10.0.0.1:4000")
		received := func(b []byte) uint64 {
			wire("peer", b, time.Now())
			time.Sleep(time.Millisecond)
			dev := rep.Wrap(&given{frames: [][]byte{b}})
			var fs [1]link.Frame
			if n, err := dev.ReadFrames(fs[:]); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			return fs[0].Tag
		}
		claim := frame(0, ethernet.TypeARP, make([]byte, 46))
		syn := segment(tcp.Segment{SrcPort: 4000, DstPort: 80, Seq: 1, Flags: tcp.SYN}, "")
		fin := tcp.Segment{SrcPort: 80, DstPort: 4000, Seq: 9, Ack: 2, Flags: tcp.FIN | tcp.ACK}
		back := packetBetween(local, remote, fin)

		rep.TCP(stack.TCPEvent{Local: local, Remote: remote, From: tcp.Closed, To: tcp.SynReceived, Frame: received(syn)})
		id := vcs.ID{1}
		received(claim)
		c := arp.Change{Time: time.Now()}
		c.Evidence.Len = uint8(copy(c.Evidence.Frame[:], claim))
		rep.Commit(id, &c)
		time.Sleep(time.Second)
		received(claim) // again, which changes nothing
		wire("guest", back, time.Now())
		rep.TCP(stack.TCPEvent{Local: local, Remote: remote, From: tcp.Established, To: tcp.FinWait1})
		rep.TCP(stack.TCPEvent{Local: local, Remote: remote, From: tcp.TimeWait, To: tcp.Closed}) // nothing tells of it
		rep.Close()
		if err := errors.Join(notes.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
		want := []string{
			"tcp 10.0.0.2:80 10.0.0.1:4000; LISTEN → SYN-RECEIVED",
			"commit " + id.String(),
			"",
			"tcp 10.0.0.2:80 10.0.0.1:4000; ESTABLISHED → FIN-WAIT-1",
		}
		if got := commentsOf(t, path); !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		if st := notes.Stats(); st != (Stats{Frames: 4, Notes: 3}) {
			t.Errorf("%+v", st)
		}
	})
}

func packetBetween(src, dst netip.AddrPort, s tcp.Segment) []byte {
	h := ipv4.Header{Proto: ipv4.ProtoTCP, Src: src.Addr(), Dst: dst.Addr(), TTL: 64}
	return frame(0, ethernet.TypeIPv4, append(h.AppendTo(nil, nil, tcp.HeaderLen), s.AppendHeader(nil)...))
}

func commentsOf(t *testing.T, path string) (out []string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := capture.NewReader(f)
	for err == nil {
		var p capture.Packet
		if p, err = r.Next(); err == nil {
			out = append(out, p.Comment)
		}
	}
	if err != io.EOF {
		t.Fatal(err)
	}
	return out
}

// A host that does not read costs notes, which are counted and told of, and never
// the machine's time.
func TestReporterOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told, lost uint64
		stuck := make(chan struct{})
		fail := true
		rep := NewReporter(func(m control.Message) error {
			<-stuck
			if fail {
				fail = false
				return control.ErrHostStuck
			}
			if b, err := json.Marshal(m); err != nil || len(b) > control.MaxLine {
				t.Errorf("a line of %d octets, %v", len(b), err)
			}
			told += uint64(len(m.Noted.Notes))
			lost += m.Noted.Lost
			return nil
		})
		note := func() {
			c := arp.Change{Time: time.Now()}
			c.Evidence.Len = arp.MaxEvidence
			rep.Commit(vcs.ID{}, &c)
		}
		note()
		synctest.Wait() // that one is under way
		for range maxReports + 10 {
			note()
		}
		if st := rep.Stats(); st != (Stats{Notes: maxReports + 11, NotesUnplaced: 10}) {
			t.Errorf("%+v", st)
		}
		close(stuck)
		synctest.Wait()
		note()
		rep.Close()
		note()
		// The first line failed, ten notes found the queue full, and the last one
		// came when nobody sent any more.
		if st := rep.Stats(); told != maxReports+1 || lost != 11 || st != (Stats{Notes: maxReports + 13, NotesUnplaced: 12}) {
			t.Errorf("%d told, %d lost, %+v", told, lost, st)
		}
	})
}

// Notes in a message that a slow host reads later are told once, and counted as
// lost nowhere.
func TestReporterSlowHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, guest := net.Pipe()
		g := control.NewGuest(guest, nil, control.GuestConfig{Stop: func(string) {}})
		rep := NewReporter(g.Send)
		note := func() { rep.Commit(vcs.ID{}, &arp.Change{Time: time.Now()}) }
		note()
		time.Sleep(time.Minute) // nobody reads: left behind
		note()
		synctest.Wait() // refused
		var told, lost uint64
		h := control.NewHost(host, nil, control.HostConfig{OnNoted: func(n control.Noted) {
			told += uint64(len(n.Notes))
			lost += n.Lost
		}})
		synctest.Wait()
		note()
		synctest.Wait()
		if st := rep.Stats(); told != 2 || lost != 1 || st != (Stats{Notes: 3, NotesUnplaced: 1}) {
			t.Errorf("%d told, %d lost, %+v", told, lost, st)
		}
		rep.Close()
		if err := errors.Join(g.Close(), h.Close()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
	})
}

package tcp

import (
	"testing"
	"time"
)

// The MTU of our own link is no matter of search: however often the connection
// tries whether the path carries more, it sends nothing larger; and when the MTU
// rises, so do the segments, but not beyond what the path carries.
func TestLinkMSSBoundsProbes(t *testing.T) {
	for name, path := range map[string]int{"wide path": 1460, "black hole": 1200} {
		t.Run(name, func(t *testing.T) {
			most, largest := 1460, 0
			s := upload(t, &most, 100_000, func(s *sim) {
				s.ends[0].imp.rate, s.ends[1].cfg.RcvBuf = 10_000, 16_000
				s.ends[0].imp.dropNth = func(n int, seg *Segment) bool {
					largest = max(largest, seg.DataLen()+seg.Options.len())
					return swallow(&most)(n, seg)
				}
			})
			most = path
			s.ends[0].conn.SetLinkMSS(s.now, 1260)
			largest = 0
			at := s.now
			s.run(time.Hour, func() bool { return s.now > at.Add(25*time.Minute) })
			i := s.ends[0].info()
			if largest > 1260 || i.PathMSS > 1260 {
				t.Errorf("segments of %d octets over a link of 1260, path %d", largest, i.PathMSS)
			}
			if i.PathMSS > path || i.PathMSS <= min(path, 1260)-pathStep {
				t.Errorf("path %d, want nearly %d", i.PathMSS, min(path, 1260))
			}
			s.ends[0].conn.SetLinkMSS(s.now, 9000)
			if now := s.ends[0].info().PathMSS; path < 1260 && now != i.PathMSS || path > 1260 && now != 1460 {
				t.Errorf("path %d, and %d over a wider link", i.PathMSS, now)
			}
		})
	}
}

// A link that narrows during a search bounds the search, and what is under way is
// sent again in segments that fit.
func TestLinkMSSDuringSearch(t *testing.T) {
	p := inPathSearch(t)
	p.c.SetLinkMSS(p.now, 1200)
	before := len(p.segs)
	p.win = 60000
	p.write(20_000)
	for range 4 {
		p.recv(ACK, 1, p.c.sndNxt.Sub(ourISS), 0)
	}
	for _, s := range p.segs[before:] {
		if n := len(s.Payload) + s.Options.len(); n > 1200 {
			t.Errorf("a segment of %d octets", n)
		}
	}
	if n := p.c.pool.Counters.PathProbes; n == 0 {
		t.Error("no search")
	}
	if n := p.c.PathLimit(); n > 1200 {
		t.Errorf("the path may carry %d", n)
	}
}

// An octet of a Fast Open SYN counts once, and only when it left.
func TestFastOpenCountsTextOnce(t *testing.T) {
	_, cfg, _ := newScript(t, []option{fastOpening(FastOpen{Cookie: biscuit, MSS: 1000})})
	c := NewActive(cfg, 1)
	c.Write(make([]byte, 100))
	for range 3 {
		c.Output(1, 0, func(*Segment) bool { return false })
	}
	if n := c.Info().BytesOut; n != 0 || c.fast.result.Tried {
		t.Errorf("%d octets sent, tried %v, before anything left", n, c.fast.result.Tried)
	}
	c.Output(1, 0, func(*Segment) bool { return true })
	if n := c.Info().BytesOut; n != 100 || !c.fast.result.Tried {
		t.Errorf("%d octets sent, tried %v, want 100", n, c.fast.result.Tried)
	}
}

// Our own link bounds segments however narrow it is; what messages say of a path does so
// down to 48 octets only. The least link carries 68 (RFC 791 §3.2).
func TestNarrowLink(t *testing.T) {
	for _, tc := range []struct{ link, path, want int }{{47, 0, 47}, {28, 0, 28}, {1, 0, 28}, {1000, 10, 48}, {28, 10, 28}} {
		for _, ts := range []bool{false, true} {
			opts := []option{withSACK}
			if ts {
				opts = append(opts, withTimestamps)
				tc.want -= timestampsLen
			}
			p := inEstablished(t, opts...)
			p.c.SetLinkMSS(p.now, tc.link)
			if tc.path > 0 {
				p.c.SetPathMSS(p.now, tc.path)
			}
			p.write(3 * tc.want)
			if got := p.c.Info().SndMSS; got != tc.want || len(p.last().Payload) != tc.want {
				t.Errorf("link %d, path %d, timestamps %v: segments of %d, %d octets sent, want %d", tc.link, tc.path, ts, got, len(p.last().Payload), tc.want)
			}
		}
	}
}

// A configuration that leaves no room for text counts as the least link.
func TestLeastMSS(t *testing.T) {
	for _, mss := range []uint16{1, 12, 27, 28} {
		p := inEstablished(t, config(func(c *Config) { c.MSS = mss }), withTimestamps, withSACK)
		p.mss = leastMSS // for the checks of the script
		p.write(96)
		if n := len(p.last().Payload); n != 28-timestampsLen || p.segs[0].Options.MSS != 28 {
			t.Errorf("MSS %d: %d octets, announced %d", mss, n, p.segs[0].Options.MSS)
		}
	}
}

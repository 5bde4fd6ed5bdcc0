package tcp

import "testing"

// Only a path that turns out to carry less has text sent again: not the same news
// twice, which every oversized segment of a flight brings, and not better news.
//
//rfc:1191 resend-once no-resend-of-better
func TestRFC1191ResendsOnlyWhenSmaller(t *testing.T) { // §6.3, §6.4
	p := sentSegments(t, 3)
	p.c.SetPathMSS(p.now, 600)
	p.flush()
	if len(p.out) != 5 {
		t.Fatalf("%q", p.out)
	}
	p.out = nil
	p.c.SetPathMSS(p.now, 600)
	p.flush()
	p.expect()
	p.c.SetPathMSS(p.now, 900)
	p.flush()
	p.expect()
}

// What our own link takes is announced whole, and to everybody.
//
//rfc:1191 mss
func TestRFC1191AnnouncesWhatTheLinkTakes(t *testing.T) { // §3.1
	p, cfg, _ := newScript(t, []option{config(func(c *Config) { c.MSS = 8960 })})
	p.c = NewActive(cfg, p.now)
	p.flush()
	if m := p.last().Options.MSS; m != 8960 {
		t.Errorf("%d", m)
	}
}

package tcp

import (
	"syscall"
	"testing"
	"time"
)

// A SYN that nobody answers, nor the plain one after it, or that an ICMP error
// answers, is remembered: with the option the connection may never come about.
//
//rfc:7413 negative
func TestRFC7413Unanswered(t *testing.T) { // §4.1.3.1
	for name, tc := range map[string]struct {
		fast FastOpen
		end  func(p *script)
		want bool
	}{
		"time-out":            {FastOpen{Cookie: biscuit}, func(p *script) { p.after(time.Hour) }, true},
		"time-out of request": {FastOpen{Request: true}, func(p *script) { p.after(time.Hour) }, true},
		"ICMP error":          {FastOpen{Cookie: biscuit}, func(p *script) { p.c.HardError(syscall.EHOSTUNREACH) }, true},
		"user gives up":       {FastOpen{Cookie: biscuit}, func(p *script) { p.after(time.Second); p.c.Close(p.now) }, true},
		"user is quicker":     {FastOpen{Cookie: biscuit}, func(p *script) { p.c.Close(p.now) }, false},
		"refused":             {FastOpen{Cookie: biscuit}, func(p *script) { p.recv(RST|ACK, 0, 1, 0); p.recv(RST|ACK, 0, 1, 0) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			p, cfg, _ := newScript(t, []option{fastOpening(tc.fast)})
			p.c = NewActive(cfg, p.now)
			p.write(100)
			tc.end(p)
			p.flush()
			if p.c.State() != Closed {
				t.Fatal(p.c.State())
			}
			r, ok := p.c.FastOpenResult()
			if ok != tc.want || r.Unanswered != tc.want || r.Blocked != tc.want {
				t.Errorf("%+v, %v", r, ok)
			}
		})
	}
}

// The server's answer that goes before the handshake is over is no more than an
// initial window.
//
//rfc:7413 initial-window
func TestRFC7413InitialWindow(t *testing.T) { // §4.2.2
	p := inFastSynReceived(t, 300, config(func(c *Config) { c.NoDelay = true }))
	p.write(30_000)
	if n := p.c.flight() - 1; p.out[0] != "[S.] 0 ack 301" || n != 10_000 { // the SYN is no text
		t.Errorf("%d octets: %q", n, p.out)
	}
}

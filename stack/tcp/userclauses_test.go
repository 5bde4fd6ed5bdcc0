package tcp

import (
	"bytes"
	"math"
	"testing"
	"time"
)

// A peer's advice on our user timeout changes nothing, and what follows it counts.
//
//rfc:5482 ignored
func TestRFC5482OptionIsIgnored(t *testing.T) { // §3, §4.1
	uto := []byte{28, 4, 0x80, 1} // a minute
	o := parseOptions(append(bytes.Clone(uto), optMSS, 4, 5, 0xb4))
	if want := (Options{MSS: 1460}); o != want {
		t.Errorf("%+v", o)
	}
	p := inEstablished(t)
	before := p.c.Info()
	p.recv(ACK, 1, 1, 0, func(s *Segment) { s.Options = parseOptions(uto) })
	p.expect()
	if after := p.c.Info(); after.State != before.State || p.c.userTimeout != inMillis(defaultUserTimeout) {
		t.Errorf("%+v", after)
	}
}

//rfc:5482 bounds
func TestRFC5482Bounds(t *testing.T) { // §3, §3.1
	p := inEstablished(t)
	for d, want := range map[time.Duration]time.Duration{
		time.Nanosecond: time.Millisecond, -time.Hour: defaultUserTimeout, 0: defaultUserTimeout, time.Minute: time.Minute,
		math.MaxInt64 / 2: math.MaxUint32 * time.Millisecond,
	} {
		p.c.SetUserTimeout(p.now, d)
		if got := p.c.userTimeout.duration(); got != want {
			t.Errorf("%v became %v, want %v", d, got, want)
		}
	}
}

//rfc:5482 synchronized
func TestRFC5482HandshakeHasATimeOfItsOwn(t *testing.T) { // §3.3
	p, _ := inSynSent(t, config(func(c *Config) { c.UserTimeout, c.ConnectTimeout = 2*time.Second, time.Minute }))
	p.after(59 * time.Second)
	p.state(SynSent)
	p.after(time.Second)
	p.failed(ErrTimeout)
}

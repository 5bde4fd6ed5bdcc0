package host

import (
	"net/netip"
	"testing"
	"time"
)

// The server gives no address twice and none outside its pool, whoever asks.
func FuzzServerInput(f *testing.F) {
	ce := testEngine()
	ce.tick(epoch)
	o, _ := ce.emit()
	f.Add(o.msg, o.msg)
	for _, k := range []messageType{request, decline, release, inform} {
		m := ce.message(epoch, k)
		m.requested, m.server = ourIP, serverIP
		f.Add(o.msg, m.encode(true))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		s, err := newServerEngine(DHCPServerConfig{
			Addr: netip.PrefixFrom(serverIP, 24), First: netip.MustParseAddr("10.0.0.70"), Last: netip.MustParseAddr("10.0.0.79"),
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range [][]byte{o.msg, a, b, a} {
			s.input(epoch.Add(time.Duration(i)*time.Second), m)
		}
		if len(s.out) > 4 || len(s.byKey) > len(s.byAddr) || len(s.byAddr) > 10 {
			t.Errorf("%d answers, %d clients, %d addresses", len(s.out), len(s.byKey), len(s.byAddr))
		}
		for addr, bd := range s.byAddr {
			if bd.addr != addr || !s.pooled(addr) || bd.key != "" && s.byKey[bd.key] != bd {
				t.Errorf("binding %+v", bd)
			}
		}
		for {
			out, ok := s.emit()
			if !ok {
				break
			}
			if m, err := parse(out.msg); err != nil || !m.reply || m.server != serverIP {
				t.Errorf("answer %+v, %v", m, err)
			}
		}
	})
}

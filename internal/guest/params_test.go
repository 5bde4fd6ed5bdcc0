package guest

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParamsRoundTrip(t *testing.T) {
	full := Params{
		Size: 20 << 20, SHA256: [32]byte{0xab, 31: 0xcd}, Complete: "/.complete", Time: time.Unix(1_790_000_000, 0),
		Address: netip.MustParsePrefix("10.0.0.2/24"), Gateway: netip.MustParseAddr("10.0.0.1"),
		Data: DataRequired, Debug: true,
		Extra: map[string]string{"mode": "serve", "title": "a site", "empty": ""},
	}
	for _, p := range []Params{{}, full, {Data: DataNone}} {
		if err := p.Check(); err != nil {
			t.Error(err)
		}
		got, err := ParseParams("BOOT_IMAGE=x " + p.Cmdline() + " trailing\n")
		if err != nil || !reflect.DeepEqual(got, p) {
			t.Errorf("%+v became %+v, %v", p, got, err)
		}
	}
	const want = `arpeggio.size=20971520 arpeggio.sha256=ab000000000000000000000000000000000000000000000000000000000000cd` +
		` arpeggio.complete=/.complete arpeggio.time=1790000000 arpeggio.ip=10.0.0.2/24 arpeggio.gateway=10.0.0.1` +
		` arpeggio.data=required arpeggio.debug=1 arpeggio.empty= arpeggio.mode=serve arpeggio.title="a site"`
	if s := full.String(); s != want {
		t.Errorf("got\n%s\nwant\n%s", s, want)
	}
}

func TestParamsRefuse(t *testing.T) {
	for _, word := range []string{
		"size=", "size=-1", "size=0", "size=1x", "sha256=ab", "sha256=" + strings.Repeat("x", 64),
		"time=now", "ip=10.0.0.1", "ip=10.0.0.1/33", "gateway=host", "data=perhaps", "debug=maybe",
	} {
		if p, err := ParseParams("quiet arpeggio." + word); err == nil || !strings.Contains(err.Error(), "arpeggio."+word) {
			t.Errorf("%s: %+v, %v", word, p, err)
		}
	}
	for name, extra := range map[string]map[string]string{
		"quote": {"a": `say "no"`}, "newline": {"a": "b\nc"}, "name with a space": {"a b": ""}, "no name": {"": "x"},
		"ours": {"size": "12x"}, "another alphabet": {"a": "ä"},
	} {
		if err := (Params{Extra: extra}).Check(); err == nil {
			t.Errorf("%s: %v survives the kernel's command line", name, extra)
		}
	}
}

func FuzzParseParams(f *testing.F) {
	f.Add(`quiet arpeggio.size=12 arpeggio.title="a site" arpeggio.ip=10.0.0.2/24`)
	f.Add(`arpeggio. arpeggio.= arpeggio.a" b"=c`)
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParseParams(s)
		if err != nil || p.Check() != nil {
			return
		}
		again, err := ParseParams(p.String())
		if err != nil || again.String() != p.String() {
			t.Errorf("%q became %q, %v", p.String(), again.String(), err)
		}
	})
}

package flows

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// echo answers with the question.
func echo(q Question) ([]string, error) {
	if q.Addr == netip.MustParseAddr("10.0.0.9") {
		return nil, nil
	}
	return []string{q.Addr.String() + "@" + q.Time.UTC().Format("15:04:05.999") + q.VLAN}, nil
}

func TestJoin(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"plain":         {"ts,sa,da\n2026-01-02 12:00:00.5,10.0.0.1,10.0.0.2\n", "ts,sa,da,src_mac,dst_mac\n2026-01-02 12:00:00.5,10.0.0.1,10.0.0.2,10.0.0.1@12:00:00.5,10.0.0.2@12:00:00.5\n"},
		"unknown":       {"ts,sa,da\n2026-01-02T12:00:00Z,10.0.0.1,10.0.0.9\n", "ts,sa,da,src_mac,dst_mac\n2026-01-02T12:00:00Z,10.0.0.1,10.0.0.9,10.0.0.1@12:00:00,\n"},
		"strange":       {"ts,sa,da\nsoon,10.0.0.1,x\n", "ts,sa,da,src_mac,dst_mac\nsoon,10.0.0.1,x,,\n"},
		"carriage":      {"ts,sa,da\r\n1767355200,10.0.0.1,10.0.0.2", "ts,sa,da,src_mac,dst_mac\r\n1767355200,10.0.0.1,10.0.0.2,10.0.0.1@12:00:00,10.0.0.2@12:00:00"},
		"quoted":        {"\"Src\",note,\"DST\",Time\n\"10.0.0.1\",\"a \"\"b\"\",\nc\", 10.0.0.2 ,1767355200000\n", "\"Src\",note,\"DST\",Time,src_mac,dst_mac\n\"10.0.0.1\",\"a \"\"b\"\",\nc\", 10.0.0.2 ,1767355200000,10.0.0.1@12:00:00,10.0.0.2@12:00:00\n"},
		"empty lines":   {"ts;sa;da\n\n1767355200;10.0.0.1;10.0.0.2\n\n", "ts;sa;da;src_mac;dst_mac\n\n1767355200;10.0.0.1;10.0.0.2;10.0.0.1@12:00:00;10.0.0.2@12:00:00\n\n"},
		"vlan and tabs": {"time\tsrc_ip\tdst_ip\tvlan\n1767355200.25\t10.0.0.1\t::ffff:10.0.0.2\t5\n", "time\tsrc_ip\tdst_ip\tvlan\tsrc_mac\tdst_mac\n1767355200.25\t10.0.0.1\t::ffff:10.0.0.2\t5\t10.0.0.1@12:00:00.255\t10.0.0.2@12:00:00.255\n"},
		"a mark":        {"\ufefffirst|srcaddr|dstaddr\n1767355200|10.0.0.1|10.0.0.9\n", "\ufefffirst|srcaddr|dstaddr|src_mac|dst_mac\n1767355200|10.0.0.1|10.0.0.9|10.0.0.1@12:00:00|\n"},
	} {
		var out strings.Builder
		res, err := Join(&out, strings.NewReader(c.in), Config{Names: []string{"mac"}, Answer: echo})
		if err != nil || out.String() != c.want {
			t.Errorf("%s: %v\n%q\nwant\n%q", name, err, out.String(), c.want)
		}
		if res.Rows != 1 || res.Known+res.Unknown != 2 || (res.Strange == 1) != (name == "strange") {
			t.Errorf("%s: %+v", name, res)
		}
	}
}

func TestColumns(t *testing.T) {
	in := "when,a,b\n1767355200,10.0.0.1,10.0.0.2\n"
	cfg := Config{Names: []string{"mac"}, Answer: echo}
	var out strings.Builder
	if _, err := Join(&out, strings.NewReader(in), cfg); !errors.Is(err, ErrColumn) || !strings.Contains(err.Error(), "time; there are when, a, b") {
		t.Error(err)
	}
	cfg.Columns = Columns{Time: "When", Source: "a", Destination: "nosuch"}
	if _, err := Join(&out, strings.NewReader(in), cfg); !errors.Is(err, ErrColumn) || !strings.Contains(err.Error(), `"nosuch"`) {
		t.Error(err)
	}
	cfg.Columns.Destination = "b"
	if _, err := Join(&out, strings.NewReader(in), cfg); err != nil || !strings.Contains(out.String(), "10.0.0.2@12:00:00") {
		t.Error(err, out.String())
	}
	if _, err := Join(&out, strings.NewReader(""), cfg); err == nil {
		t.Error("an empty file is taken")
	}
	long := in + `1,"` + strings.Repeat("x", 2*maxRow)
	if _, err := Join(&out, strings.NewReader(long), cfg); !errors.Is(err, errLongRow) {
		t.Error(err)
	}
	fail := errors.New("the history is gone")
	cfg.Answer = func(Question) ([]string, error) { return nil, fail }
	if _, err := Join(&out, strings.NewReader(in), cfg); !errors.Is(err, fail) {
		t.Error(err)
	}
}

func TestParseTime(t *testing.T) {
	want := time.Date(2026, 1, 2, 12, 0, 0, 250e6, time.UTC)
	for _, s := range []string{"2026-01-02T12:00:00.25Z", "2026-01-02T13:00:00.250+01:00", "2026-01-02 13:00:00.250", "2026/01/02T13:00:00.25",
		"1767355200.25", "1767355200.250000000", "1767355200250", "1767355200250000", "1767355200250000000"} {
		if got, ok := ParseTime(s, time.FixedZone("", 3600)); !ok || !got.Equal(want) {
			t.Errorf("%s is %v, %v", s, got, ok)
		}
	}
	for _, s := range []string{"", "x", "-5", "12:00", "1767355200.x", "1767355200.1x", "1767355200250.5"} {
		if got, ok := ParseTime(s, nil); ok {
			t.Errorf("%s is taken for %v", s, got)
		}
	}
}

// FuzzJoin: without the added fields the output is the input, whatever that is.
func FuzzJoin(f *testing.F) {
	f.Add("ts,sa,da\n1767355200,10.0.0.1,10.0.0.2\n")
	f.Add("ts;sa;da\r\n\r\n1;\"a\n\";b\r\n")
	f.Fuzz(func(t *testing.T, in string) {
		var out strings.Builder
		_, err := Join(&out, strings.NewReader(in), Config{Answer: func(Question) ([]string, error) { return nil, nil }})
		if err == nil && out.String() != in {
			t.Errorf("%q became %q", in, out.String())
		}
	})
}

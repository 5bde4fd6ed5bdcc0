package host_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// RFC 1123 §6.1.4.2: all records of a type and class, whatever they are, or an error
// that is hard or soft.
//
//rfc:1123 query query-types query-outcome class interface
func TestQuery(t *testing.T) {
	const private = dnsmessage.Type(4242)
	ns := &nameServer{zone: zone("two.test.", "10.0.0.40 10.0.0.41", "none.test.", "10.0.0.42")}
	dnsTest(t, []*nameServer{ns}, func(t *testing.T, n *dnsNet) {
		for _, class := range []dnsmessage.Class{dnsmessage.ClassINET, dnsmessage.ClassCHAOS} {
			got, err := n.r.Query(t.Context(), "two.test", private, class)
			if err != nil || len(got) != 2 {
				t.Fatalf("class %v: %v, %v", class, got, err)
			}
			for k, res := range got {
				u, ok := res.Body.(*dnsmessage.UnknownResource)
				if !ok || res.Header.Type != private || res.Header.Class != class || string(u.Data) != string([]byte{byte(k), byte(class)}) {
					t.Errorf("class %v: record %d is %+v", class, k, res)
				}
			}
		}
		got, err := n.r.Query(t.Context(), "Two.Test.", dnsmessage.TypeA, dnsmessage.ClassINET)
		if err != nil || len(got) != 2 || got[1].Body.(*dnsmessage.AResource).A != [4]byte{10, 0, 0, 41} {
			t.Errorf("%v, %v", got, err)
		}
		if got, err := n.r.Query(t.Context(), "none.test", dnsmessage.TypeMX, dnsmessage.ClassINET); err != nil || len(got) != 0 {
			t.Errorf("no such records: %v, %v", got, err)
		}
		_, err = n.r.Query(t.Context(), "gone.test", private, dnsmessage.ClassINET)
		wantDNSError(t, err, "gone.test", true, false)
		if _, err = n.r.Query(t.Context(), strings.Repeat("a", 64)+".test", private, dnsmessage.ClassINET); err == nil {
			t.Error("a label of 64 octets")
		}
		_, err = n.r.Query(t.Context(), "1.0.254.169.in-addr.arpa", dnsmessage.TypePTR, dnsmessage.ClassINET)
		wantDNSError(t, err, "1.0.254.169.in-addr.arpa", true, false)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = n.r.Query(ctx, "two.test", private, dnsmessage.ClassINET)
		if wantSoft(t, err, false); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, where nobody waits", err)
		}
		n.r.SetServers(nil, nil)
		_, err = n.r.Query(t.Context(), "two.test", private, dnsmessage.ClassINET)
		wantSoft(t, err, false)
	})
}

// wantSoft checks an error that another try may not have.
func wantSoft(t *testing.T, err error, timeout bool) {
	t.Helper()
	var de *net.DNSError
	if !errors.As(err, &de) || !de.IsTemporary || de.IsNotFound || de.IsTimeout != timeout {
		t.Errorf("got %#v, want a *net.DNSError that is temporary, with IsTimeout %v", err, timeout)
	}
}

// What was cut off goes again by TCP, and what no server says is a soft error: at
// once where they say that they cannot, else when their time is over.
//
//rfc:1123 query-outcome
func TestQueryFails(t *testing.T) {
	dnsTest(t, []*nameServer{{truncated: true, zone: zone("x.test.", "10.0.0.40")}}, func(t *testing.T, n *dnsNet) {
		got, err := n.r.Query(t.Context(), "x.test", dnsmessage.TypeA, dnsmessage.ClassINET)
		if err != nil || len(got) != 1 {
			t.Errorf("by TCP: %v, %v", got, err)
		}
	})
	for name, tc := range map[string]struct {
		ns      *nameServer
		took    time.Duration
		timeout bool
	}{
		"SERVFAIL": {&nameServer{rcode: dnsmessage.RCodeServerFailure}, 0, false},
		"silent":   {&nameServer{silent: true}, 2 * time.Second, true},
		"nobody":   {nil, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			dnsTest(t, []*nameServer{tc.ns}, func(t *testing.T, n *dnsNet) {
				begin := time.Now()
				_, err := n.r.Query(t.Context(), "x.test", dnsmessage.TypeA, dnsmessage.ClassINET)
				wantSoft(t, err, tc.timeout)
				if d := time.Since(begin) - tc.took; d < 0 || d > 100*time.Millisecond {
					t.Errorf("after %v more than %v", d, tc.took)
				}
			})
		})
	}
}

// An answer may be cut off amid a record: it is asked for by TCP all the same. One that
// cannot be read is as good as none, and the next one counts.
func TestQueryReadsWhatComes(t *testing.T) {
	for name, flag := range map[string]byte{"cut off": 2, "malformed": 0} {
		t.Run(name, func(t *testing.T) {
			ns := &nameServer{zone: zone("x.test.", "10.0.0.40 10.0.0.41")}
			ns.before = func(pc net.PacketConn, reply []byte, to net.Addr) {
				cut := slices.Clone(reply[:len(reply)-3])
				cut[2] |= flag // TC
				pc.WriteTo(cut, to)
			}
			dnsTest(t, []*nameServer{ns}, func(t *testing.T, n *dnsNet) {
				got, err := n.r.Query(t.Context(), "x.test", dnsmessage.TypeA, dnsmessage.ClassINET)
				if err != nil || len(got) != 2 {
					t.Errorf("%v, %v", got, err)
				}
				want := []string{"x.test."}
				if flag != 0 {
					want = append(want, "tcp x.test.")
				}
				if asked := ns.log(); !slices.Equal(asked, want) {
					t.Errorf("asked for %q, want %q", asked, want)
				}
			})
		})
	}
}

// RFC 6761 §6.3, §6.4: nobody is asked for names under localhost, which are the machine
// itself, and invalid, which do not exist, whatever the question.
func TestNoQuestionForSpecialNames(t *testing.T) {
	ns := &nameServer{}
	dnsTest(t, []*nameServer{ns}, func(t *testing.T, n *dnsNet) {
		for _, tc := range []struct {
			typ   dnsmessage.Type
			class dnsmessage.Class
			want  dnsmessage.ResourceBody
		}{
			{dnsmessage.TypeA, dnsmessage.ClassINET, &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}},
			{dnsmessage.TypeAAAA, dnsmessage.ClassINET, &dnsmessage.AAAAResource{AAAA: netip.IPv6Loopback().As16()}},
			{dnsmessage.TypeMX, dnsmessage.ClassINET, nil},
			{dnsmessage.TypeA, dnsmessage.ClassCHAOS, nil},
		} {
			got, err := n.r.Query(t.Context(), "X.Localhost", tc.typ, tc.class)
			if err != nil || len(got) > 1 || (len(got) == 1) != (tc.want != nil) || tc.want != nil && !reflect.DeepEqual(got[0].Body, tc.want) {
				t.Errorf("%v, %v: %v, %v", tc.typ, tc.class, got, err)
			}
		}
		_, err := n.r.Query(t.Context(), "x.Invalid", dnsmessage.TypeMX, dnsmessage.ClassINET)
		wantDNSError(t, err, "x.Invalid", true, false)
		for _, name := range []string{"x.invalid.", "x.localhost."} {
			if _, err := n.r.Net().LookupTXT(t.Context(), name); err == nil {
				t.Errorf("%s has an answer", name)
			}
		}
		if asked := ns.log(); len(asked) > 0 {
			t.Errorf("asked for %q", asked)
		}
	})
}

// Of several addresses those on our own network come first, and the others keep
// their order (RFC 1123 §6.1.3.4).
//
//rfc:1123 near-first
func TestNearAddressesFirst(t *testing.T) {
	ns := &nameServer{zone: zone("x.test.", "192.0.2.1 10.0.0.9 192.0.2.0 10.0.0.8")}
	dnsTest(t, []*nameServer{ns}, func(t *testing.T, n *dnsNet) {
		got, err := n.r.LookupNetIP(t.Context(), "ip4", "x.test")
		if err != nil || len(got) != 4 {
			t.Fatalf("%v, %v", got, err)
		}
		near := netip.MustParsePrefix("10.0.0.0/24")
		if !near.Contains(got[0]) || !near.Contains(got[1]) || near.Contains(got[2]) || near.Contains(got[3]) {
			t.Errorf("%v", got)
		}
		slices.SortFunc(got, netip.Addr.Compare)
		if fmt.Sprint(got) != "[10.0.0.8 10.0.0.9 192.0.2.0 192.0.2.1]" {
			t.Errorf("%v", got)
		}
	})
}

// A question says what it asks and that servers may ask others; all else is zero
// (RFC 1123 §6.1.2.3).
//
//rfc:1123 unused
func TestQueryFields(t *testing.T) {
	ns := &nameServer{zone: zone("x.test.", "10.0.0.40")}
	dnsTest(t, []*nameServer{ns}, func(t *testing.T, n *dnsNet) {
		if _, err := n.r.Query(t.Context(), "x.test", dnsmessage.TypeA, dnsmessage.ClassINET); err != nil {
			t.Fatal(err)
		}
		want := "\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01x\x04test\x00\x00\x01\x00\x01" // behind the id
		if got := ns.last(); string(got[2:]) != want {
			t.Errorf("% x", got)
		}
	})
}

// One question does not wait for another (RFC 1123 §6.1.3).
//
//rfc:1123 concurrent
func TestQueriesAtOnce(t *testing.T) {
	dnsTest(t, []*nameServer{{silent: true}, {zone: zone("x.test.", "10.0.0.40")}}, func(t *testing.T, n *dnsNet) {
		begin := time.Now()
		done := make(chan error)
		for range 5 {
			go func() {
				_, err := n.r.Query(t.Context(), "x.test", dnsmessage.TypeA, dnsmessage.ClassINET)
				done <- err
			}()
		}
		for range 5 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if d := time.Since(begin); d > 2100*time.Millisecond {
			t.Errorf("five questions took %v, where one takes two seconds", d)
		}
	})
}

// Without search domains a name is what it is (RFC 1123 §6.1.4.3).
//
//rfc:1123 no-search
func TestNoSearch(t *testing.T) {
	ns := &nameServer{zone: zone("bare.", "10.0.0.33", "bare.test.", "10.0.0.34")}
	dnsTest(t, []*nameServer{ns}, func(t *testing.T, n *dnsNet) {
		n.r.SetServers(n.r.Servers(), nil)
		n.lookup(t, "bare", "[10.0.0.33]")
		if got := ns.log(); !slices.Equal(got, []string{"bare."}) {
			t.Errorf("asked for %q", got)
		}
	})
}

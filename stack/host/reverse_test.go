package host_test

import (
	"encoding/binary"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/net/dns/dnsmessage"
)

// RFC 3927 §1.4: no name server is asked for the name of a link-local address.
//
//rfc:3927 dns-question
//rfc:1123 reverse
func TestNoQuestionForLinkLocalNames(t *testing.T) {
	ns := &nameServer{zone: zone("a.test.", "192.0.2.1")}
	dnsTest(t, []*nameServer{ns}, func(t *testing.T, n *dnsNet) {
		for _, a := range []string{"169.254.1.2", "169.254.254.254"} {
			if names, err := n.r.Net().LookupAddr(t.Context(), a); err == nil || !strings.Contains(err.Error(), "RFC 3927") {
				t.Errorf("%s: %v, %v", a, names, err)
			}
		}
		if _, err := n.r.Net().LookupTXT(t.Context(), "254.169.IN-addr.arpa."); err == nil || !strings.Contains(err.Error(), "RFC 3927") {
			t.Errorf("the domain itself: %v", err)
		}
		// By TCP, as resolv.conf may want it.
		c, err := n.r.Net().Dial(t.Context(), "tcp", "")
		if err != nil {
			t.Fatal(err)
		}
		b := dnsmessage.NewBuilder(make([]byte, 2), dnsmessage.Header{ID: 1, RecursionDesired: true})
		b.StartQuestions()
		b.Question(dnsmessage.Question{Name: dnsmessage.MustNewName("2.1.254.169.in-addr.arpa."), Type: dnsmessage.TypePTR, Class: dnsmessage.ClassINET})
		q, err := b.Finish()
		if err != nil {
			t.Fatal(err)
		}
		binary.BigEndian.PutUint16(q, uint16(len(q)-2))
		if _, err := c.Write(q); err == nil || !strings.Contains(err.Error(), "RFC 3927") {
			t.Errorf("by TCP: %v", err)
		}
		c.Close()
		synctest.Wait()
		if log := ns.log(); len(log) != 0 {
			t.Errorf("the server was asked %q", log)
		}
		_, _ = n.r.Net().LookupAddr(t.Context(), "169.255.1.2") // has no name, but may be asked for
		if len(ns.log()) == 0 {
			t.Error("the server was not asked for another address")
		}
	})
}

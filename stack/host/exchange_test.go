package host

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// packed is a message about name, of type A.
func packed(t testing.TB, h dnsmessage.Header, name string) []byte {
	t.Helper()
	m := dnsmessage.Message{Header: h, Questions: []dnsmessage.Question{{
		Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

//rfc:5452 id name type-class
//rfc:1035 case response match malformed name-error
//rfc:4343 insensitive ascii
func TestJudge(t *testing.T) {
	query := packed(t, dnsmessage.Header{ID: 7, RecursionDesired: true}, "x.test.")
	for _, tc := range []struct {
		what string
		h    dnsmessage.Header
		name string
		want answer
	}{
		{"an answer", dnsmessage.Header{ID: 7, Response: true}, "x.test.", answerGood},
		{"case does not matter", dnsmessage.Header{ID: 7, Response: true}, "X.Test.", answerGood},
		{"no such name", dnsmessage.Header{ID: 7, Response: true, RCode: dnsmessage.RCodeNameError}, "x.test.", answerGood},
		{"failure", dnsmessage.Header{ID: 7, Response: true, RCode: dnsmessage.RCodeServerFailure}, "x.test.", answerPoor},
		{"refused", dnsmessage.Header{ID: 7, Response: true, RCode: dnsmessage.RCodeRefused}, "x.test.", answerPoor},
		{"a longer name", dnsmessage.Header{ID: 7, Response: true}, "xx.test.", answerForeign},
		{"another id", dnsmessage.Header{ID: 8, Response: true}, "x.test.", answerForeign},
		{"another name", dnsmessage.Header{ID: 7, Response: true}, "y.test.", answerForeign},
		{"the question itself", dnsmessage.Header{ID: 7}, "x.test.", answerForeign},
	} {
		if got := judge(query, packed(t, tc.h, tc.name)); got != tc.want {
			t.Errorf("%s: %d, want %d", tc.what, got, tc.want)
		}
	}
	// The Kelvin sign is a k for Unicode, not for the DNS.
	if judge(packed(t, dnsmessage.Header{ID: 7}, "k.test."), packed(t, dnsmessage.Header{ID: 7, Response: true}, "\u212a.test.")) != answerForeign {
		t.Error("a Kelvin sign is taken for a k")
	}
	// Nor are other octets the same that differ as letters do.
	if judge(packed(t, dnsmessage.Header{ID: 7}, "[.test."), packed(t, dnsmessage.Header{ID: 7, Response: true}, "{.test.")) != answerForeign {
		t.Error("a brace is taken for a bracket")
	}
	other := packed(t, dnsmessage.Header{ID: 7, Response: true}, "x.test.")
	if judge(query, other[:len(other)-5]) != answerForeign {
		t.Error("an answer without the end of the question is taken")
	}
	other[len(other)-3]++ // the type
	if judge(query, other) != answerForeign {
		t.Error("an answer about another type is taken")
	}
	other[len(other)-3]--
	other[len(other)-1]++ // the class
	if judge(query, other) != answerForeign {
		t.Error("an answer about another class is taken")
	}
	if judge(query, nil) != answerForeign || judge(nil, query) != answerForeign {
		t.Error("nothing answers something")
	}
}

// An answer that says nothing is handed out once: package net reads again when it
// does not believe it.
func TestPoorAnswerOnce(t *testing.T) {
	x := &exchange{poor: []byte("poor")}
	p := make([]byte, 16)
	if n, err := x.Read(p); n != 4 || err != nil {
		t.Errorf("first %d, %v", n, err)
	}
	if n, err := x.Read(p); n != 0 || !errors.Is(err, errNoAnswer) {
		t.Errorf("then %d, %v", n, err)
	}
	x = &exchange{poor: []byte("poor"), err: os.ErrDeadlineExceeded}
	x.Read(p)
	if n, err := x.Read(p); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after a server that is silent %d, %v", n, err)
	}
}

// Whatever comes from the port of a name server: no panic, and nothing counts that
// does not carry the id of the question.
func FuzzJudge(f *testing.F) {
	query := packed(f, dnsmessage.Header{ID: 7}, "x.test.")
	f.Add(packed(f, dnsmessage.Header{ID: 7, Response: true}, "x.test."))
	f.Add(query)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if judge(query, b) != answerForeign && (len(b) < 12 || b[0] != 0 || b[1] != 7 || b[2]&0x80 == 0) {
			t.Errorf("%x counts", b)
		}
	})
}

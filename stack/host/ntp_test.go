package host

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"
	"time"
)

const testNonce = 0x0123456789abcdef

// ntpBytes is a timestamp of t.
func ntpBytes(t time.Time) []byte {
	s := t.Unix() - ntpEpoch.Unix()
	b := binary.BigEndian.AppendUint32(nil, uint32(s))
	return binary.BigEndian.AppendUint32(b, uint32(math.Ceil(float64(t.Nanosecond())*(1<<32)/1e9)))
}

// goodReply is a reply that nothing is wrong with, from a server whose clock says
// at all the time.
func goodReply(at time.Time) []byte {
	b := make([]byte, ntpLen)
	b[0], b[1] = ntpVersion<<3|ntpServer, 2
	binary.BigEndian.PutUint32(b[4:], 1<<14) // root delay 0.25 s
	binary.BigEndian.PutUint32(b[8:], 1<<13) // root dispersion 0.125 s
	copy(b[12:], []byte{192, 0, 2, 1})
	copy(b[16:], ntpBytes(at.Add(-time.Minute)))
	binary.BigEndian.PutUint64(b[24:], testNonce)
	copy(b[32:], ntpBytes(at))
	copy(b[40:], ntpBytes(at))
	return b
}

//rfc:4330 request
func TestNTPRequest(t *testing.T) {
	b := appendNTPRequest(nil, testNonce)
	want := make([]byte, 48)
	want[0] = 0x23 // no leap, version 4, client
	binary.BigEndian.PutUint64(want[40:], testNonce)
	if string(b) != string(want) {
		t.Errorf("%x\nwant %x", b, want)
	}
}

//rfc:4330 mode origin leap stratum zero
//rfc:5905 no-time distance
func TestNTPReply(t *testing.T) {
	r, err := parseNTPReply(goodReply(epoch), testNonce)
	if err != nil || r.stratum != 2 || !r.received.Equal(epoch) || !r.sent.Equal(epoch) || r.distance != 250*time.Millisecond {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, tc := range []struct {
		what string
		edit func(b []byte)
		want error
	}{
		{"a request", func(b []byte) { b[0] = ntpVersion<<3 | ntpClient }, errNTPForeign},
		{"a broadcast", func(b []byte) { b[0] = ntpVersion<<3 | 5 }, errNTPForeign},
		{"another version", func(b []byte) { b[0] = 3<<3 | ntpServer }, errNTPForeign},
		{"another origin", func(b []byte) { b[31]++ }, errNTPForeign},
		{"no origin", func(b []byte) { clear(b[24:32]) }, errNTPForeign},
		{"not synchronised", func(b []byte) { b[0] |= ntpUnsynced << 6 }, errNTPServer},
		{"stratum 16", func(b []byte) { b[1] = 16 }, errNTPServer},
		{"stratum 0 without a code", func(b []byte) { b[1] = 0; clear(b[12:16]) }, errNTPServer},
		{"no receive timestamp", func(b []byte) { clear(b[32:40]) }, errNTPServer},
		{"no transmit timestamp", func(b []byte) { clear(b[40:48]) }, errNTPServer},
		{"sent before it was received", func(b []byte) { copy(b[40:], ntpBytes(epoch.Add(-time.Second))) }, errNTPServer},
		{"set in its future", func(b []byte) { copy(b[16:], ntpBytes(epoch.Add(time.Hour))) }, errNTPServer},
		{"far from the root", func(b []byte) { b[9] = 2 }, errNTPServer},
		{"a root delay below zero", func(b []byte) { b[4] = 0xff }, errNTPServer},
		{"RATE", func(b []byte) { b[1] = 0; copy(b[12:], "RATE") }, kissRate},
		{"DENY, with no other field", func(b []byte) { b[1] = 0; copy(b[12:], "DENY"); clear(b[32:]) }, kissDeny},
		{"RSTR, of a forger", func(b []byte) { b[1] = 0; copy(b[12:], "RSTR"); b[24]++ }, errNTPForeign},
	} {
		b := goodReply(epoch)
		tc.edit(b)
		if _, err := parseNTPReply(b, testNonce); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.what, err, tc.want)
		}
	}
	if _, err := parseNTPReply(goodReply(epoch)[:47], testNonce); err != errNTPForeign {
		t.Errorf("cut off: %v", err)
	}
	if _, err := parseNTPReply(append(goodReply(epoch), make([]byte, 20)...), testNonce); err != nil {
		t.Errorf("with an authenticator: %v", err)
	}
}

// RFC 4330 §5: offset and delay from the four times.
func TestNTPOffset(t *testing.T) {
	for _, ahead := range []time.Duration{0, time.Hour, -time.Hour, 30 * 365 * 24 * time.Hour} {
		r := ntpReply{received: epoch.Add(ahead + 30*time.Millisecond), sent: epoch.Add(ahead + 40*time.Millisecond)}
		offset, delay, err := r.offset(epoch, 70*time.Millisecond)
		if err != nil || offset != ahead || delay != 60*time.Millisecond {
			t.Errorf("%v ahead: %v, %v, %v", ahead, offset, delay, err)
		}
	}
	r := ntpReply{received: epoch, sent: epoch.Add(time.Second)}
	if _, _, err := r.offset(epoch, time.Second-1); !errors.Is(err, errNTPServer) {
		t.Errorf("a server slower than its answer: %v", err)
	}
	r = ntpReply{received: epoch, sent: epoch, distance: time.Second}
	if _, _, err := r.offset(epoch, time.Second); !errors.Is(err, errNTPServer) {
		t.Errorf("a way of a second to a server that is off by one: %v", err)
	}
}

// RFC 4330 §3: the eras, until 2104.
//
//rfc:4330 era
func TestNTPTime(t *testing.T) {
	for _, at := range []time.Time{
		time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 21, 23, 59, 59, 500e6, time.UTC),
		time.Date(2036, 2, 7, 6, 28, 15, 0, time.UTC), time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC), time.Date(2100, 1, 1, 0, 0, 0, 1, time.UTC),
	} {
		if got := ntpTime(ntpBytes(at)); !got.Equal(at) {
			t.Errorf("%v became %v", at, got)
		}
	}
}

// Whatever comes: no panic, and nothing is believed that lacks the nonce, that goes
// backwards, or that is further off than a server may be.
func FuzzNTPReply(f *testing.F) {
	f.Add(goodReply(epoch), int64(time.Second))
	kiss := goodReply(epoch)
	kiss[1] = 0
	copy(kiss[12:], "RATE")
	f.Add(kiss, int64(0))
	f.Add([]byte{}, int64(-1))
	f.Fuzz(func(t *testing.T, b []byte, elapsed int64) {
		r, err := parseNTPReply(b, testNonce)
		if errors.Is(err, errNTPForeign) {
			return
		}
		if len(b) < ntpLen || binary.BigEndian.Uint64(b[24:]) != testNonce {
			t.Fatalf("%x: %v", b, err)
		}
		if err != nil {
			return
		}
		_, delay, err := r.offset(epoch, time.Duration(elapsed))
		if err == nil && (delay < 0 || delay > 2*maxDistance || r.stratum < 1 || r.stratum > 15 || r.distance < 0) {
			t.Errorf("%+v with a delay of %v", r, delay)
		}
	})
}

// The server's part: the answer is as long as the request's fixed part, and only
// clients get one.
func FuzzNTPAnswer(f *testing.F) {
	f.Add(appendNTPRequest(nil, testNonce))
	f.Add(goodReply(epoch))
	f.Add([]byte{0x1b})
	f.Fuzz(func(t *testing.T, b []byte) {
		now := func() time.Time { return epoch }
		a := ntpAnswer(b, epoch, now)
		if a == nil {
			return
		}
		if len(a) > len(b) || b[0]&7 != ntpClient || string(a[24:32]) != string(b[40:48]) {
			t.Errorf("%x answers %x", a, b)
		}
		if b[0]>>3&7 == ntpVersion {
			if r, err := parseNTPReply(a, binary.BigEndian.Uint64(b[40:])); err != nil || !r.sent.Equal(epoch) {
				t.Errorf("%x: %v", a, err)
			}
		}
	})
}

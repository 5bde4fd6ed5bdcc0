package versioned

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"arpeggio/stack/ethernet"
)

// MaxEarlier is how many former MAC addresses an Entry remembers.
const MaxEarlier = 8

// maxText bounds an entry's free texts, in bytes.
const maxText = 128

// ErrEntry is wrapped by the error for text that is not an entry in exactly the
// form in which Encode writes it.
var ErrEntry = errors.New("versioned: not an entry")

// State says whether an entry holds.
type State uint8

// States of an entry.
const (
	Expired State = iota // nobody holds the address; MAC is the last one
	Dynamic              // learned from the network
	Static               // pinned by the operator of Node
)

var stateNames = [...]string{"expired", "dynamic", "static"}

// String returns the word of the text form.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "state(" + strconv.Itoa(int(s)) + ")"
}

// Entry is what the repository knows about one address. It is comparable.
//
// Its text has one `field value` a line in fixed order. Nothing in it moves
// when a binding is merely confirmed.
type Entry struct {
	State     State
	MAC       ethernet.Addr
	Earlier   [MaxEarlier]ethernet.Addr // former ones, newest first; zero behind the last
	FirstSeen int64                     // Unix seconds: when MAC was first seen here
	Learned   string                    // how: "solicited reply", "announcement", "operator"
	Interface string                    // where; may be empty
	Node      string                    // who
	Deadline  int64                     // Unix seconds: the end of its life as seen when it was written; 0: none
	Clock     int64                     // revision: Unix milliseconds, raised above what the writer saw
}

// Encode returns the text. The error wraps ErrEntry and names the field that
// cannot be written.
func (e Entry) Encode() ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	var room [256]byte
	b := room[:0]
	field := func(name, value string) {
		b = append(b, name...)
		b = append(b, ' ')
		b = append(b, value...)
		b = append(b, '\n')
	}
	field("state", e.State.String())
	field("mac", e.MAC.String())
	for _, m := range e.Earlier {
		if !m.IsZero() {
			field("earlier", m.String())
		}
	}
	field("first-seen", stamp(e.FirstSeen))
	field("learned", e.Learned)
	if e.Interface != "" {
		field("interface", e.Interface)
	}
	field("node", e.Node)
	if e.Deadline != 0 {
		field("deadline", stamp(e.Deadline))
	}
	field("clock", strconv.FormatInt(e.Clock, 10))
	return bytes.Clone(b), nil // a store keeps it, and no more than it
}

// check reports what cannot be written so that it reads back the same.
func (e *Entry) check() error {
	bad := func(field string) error { return fmt.Errorf("%w: bad %s", ErrEntry, field) }
	switch {
	case int(e.State) >= len(stateNames):
		return bad("state")
	case !e.MAC.IsStation():
		return bad("mac")
	case !stampable(e.FirstSeen):
		return bad("first-seen")
	case e.Learned == "" || e.Learned != Clean(e.Learned):
		return bad("learned")
	case e.Interface != Clean(e.Interface):
		return bad("interface")
	case e.Node == "" || e.Node != Clean(e.Node):
		return bad("node")
	case !stampable(e.Deadline):
		return bad("deadline")
	case e.Clock < 0:
		return bad("clock")
	}
	for i, m := range e.Earlier {
		after := i > 0 && e.Earlier[i-1].IsZero()
		if !m.IsZero() && (after || !m.IsStation() || m == e.MAC || slices.Contains(e.Earlier[:i], m)) {
			return bad("earlier")
		}
	}
	return nil
}

// Decode reads the text of an entry. It accepts exactly what Encode writes; the
// error wraps ErrEntry.
func Decode(b []byte) (Entry, error) {
	var e Entry
	earlier := 0
	for line := range bytes.Lines(b) {
		name, value, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		var err error
		switch name {
		case "state":
			i := slices.Index(stateNames[:], value)
			if i < 0 {
				return Entry{}, fmt.Errorf("%w: state %.40q", ErrEntry, value)
			}
			e.State = State(i)
		case "mac":
			e.MAC, err = ethernet.ParseAddr(value)
		case "earlier":
			if earlier == MaxEarlier {
				return Entry{}, fmt.Errorf("%w: more than %d earlier MAC addresses", ErrEntry, MaxEarlier)
			}
			e.Earlier[earlier], err = ethernet.ParseAddr(value)
			earlier++
		case "first-seen":
			e.FirstSeen, err = unstamp(value)
		case "learned":
			e.Learned = value
		case "interface":
			e.Interface = value
		case "node":
			e.Node = value
		case "deadline":
			e.Deadline, err = unstamp(value)
		case "clock":
			e.Clock, err = strconv.ParseInt(value, 10, 64)
		default:
			return Entry{}, fmt.Errorf("%w: unknown field %.40q", ErrEntry, name)
		}
		if err != nil {
			return Entry{}, fmt.Errorf("%w: %s: %w", ErrEntry, name, err)
		}
	}
	canon, err := e.Encode()
	if err != nil {
		return Entry{}, err
	}
	if !bytes.Equal(canon, b) {
		return Entry{}, fmt.Errorf("%w: fields are missing, repeated or out of order", ErrEntry)
	}
	return e, nil
}

// maxStamp is the last second of the year 9999.
const maxStamp = 253402300799

func stampable(s int64) bool { return s >= 0 && s <= maxStamp }

func stamp(s int64) string { return time.Unix(s, 0).UTC().Format(time.RFC3339) }

func unstamp(s string) (int64, error) {
	t, err := time.Parse(time.RFC3339, s)
	return t.Unix(), err
}

// Clean returns s as a text that an entry and a commit can hold: one line of
// printable ASCII without outer space, at most 128 bytes long.
func Clean(s string) string {
	ok := len(s) <= maxText && s == strings.TrimSpace(s)
	for i := 0; ok && i < len(s); i++ {
		ok = s[i] >= ' ' && s[i] < 0x7f
	}
	if ok {
		return s
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, s)
	return strings.TrimSpace(s[:min(len(s), maxText)])
}

// Codec is the vcs.Codec of entries.
type Codec struct{}

// Encode implements vcs.Codec.
func (Codec) Encode(e Entry) ([]byte, error) { return e.Encode() }

// Decode implements vcs.Codec.
func (Codec) Decode(b []byte) (Entry, error) { return Decode(b) }

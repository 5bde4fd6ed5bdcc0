package vcs

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The ledger has a file for each epoch, one field a line:
//
//	state live
//	began 2026-11-21T10:00:00Z
//	ended 2026-11-21T11:00:00Z
//	commits 12345
//	bytes 345678
//	root ROOT OLD REF
//	head ID REF
//	archive NAME
//	sha256 HEX
//	size BYTES
//	reason TEXT
//
// Roots and heads may be many; a root that is no branch's has the ref "-". What
// is not known is left out.

// ledgerName returns the name of an epoch's file.
func ledgerName(number int) string { return fmt.Sprintf("epoch-%06d", number) }

// ledgerNumber is the inverse.
func ledgerNumber(name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, "epoch-")
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil && n > 0 && ledgerName(n) == name
}

// ledgerText writes an epoch's file.
func ledgerText(e *Epoch) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "state %v\n", e.State)
	when := func(name string, t time.Time) {
		if !t.IsZero() {
			fmt.Fprintf(&b, "%s %s\n", name, t.UTC().Format(time.RFC3339))
		}
	}
	when("began", e.Began)
	when("ended", e.Ended)
	if e.State != EpochCurrent {
		fmt.Fprintf(&b, "commits %d\nbytes %d\n", e.Commits, e.LogBytes)
	}
	for _, r := range e.Roots {
		ref := r.Ref
		if ref == "" {
			ref = "-"
		}
		fmt.Fprintf(&b, "root %v %v %s\n", r.Root, r.Old, ref)
	}
	if e.State != EpochCurrent {
		for _, h := range e.Heads {
			fmt.Fprintf(&b, "head %v %s\n", h.Target, h.Name)
		}
	}
	if a := &e.Archive; a.Name != "" {
		fmt.Fprintf(&b, "archive %s\nsha256 %x\nsize %d\n", oneLine(a.Name), a.SHA256, a.Bytes)
	}
	if e.Reason != "" {
		fmt.Fprintf(&b, "reason %s\n", oneLine(e.Reason))
	}
	return b.Bytes()
}

// oneLine makes one line of a text.
func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
}

// parseLedger reads what ledgerText wrote. Fields that it does not know are
// skipped.
func parseLedger(number int, content []byte) (Epoch, error) {
	e := Epoch{Number: number, State: -1}
	bad := func(line string) (Epoch, error) {
		return Epoch{}, fmt.Errorf("%w: ledger of epoch %d: %.100q", ErrCorrupt, number, line)
	}
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSuffix(line, "\n")
		field, value, _ := strings.Cut(line, " ")
		var err error
		switch field {
		case "state":
			for _, s := range []EpochState{EpochCurrent, EpochLive, EpochArchived, EpochLost} {
				if s.String() == value {
					e.State = s
				}
			}
		case "began":
			e.Began, err = time.Parse(time.RFC3339, value)
		case "ended":
			e.Ended, err = time.Parse(time.RFC3339, value)
		case "commits":
			e.Commits, err = strconv.Atoi(value)
		case "bytes":
			e.LogBytes, err = strconv.ParseInt(value, 10, 64)
		case "root":
			var r EpochRoot
			if r.Root, value, err = cutID(value); err == nil {
				r.Old, r.Ref, err = cutID(value)
			}
			if r.Ref == "-" {
				r.Ref = ""
			}
			e.Roots = append(e.Roots, r)
		case "head":
			var h Ref
			h.Target, h.Name, err = cutID(value)
			e.Heads = append(e.Heads, h)
		case "archive":
			e.Archive.Name = value
		case "sha256":
			var n int
			if n, err = hex.Decode(e.Archive.SHA256[:min(32, len(value)/2)], []byte(value[:min(64, len(value))])); n != 32 {
				return bad(line)
			}
		case "size":
			e.Archive.Bytes, err = strconv.ParseInt(value, 10, 64)
		case "reason":
			e.Reason = value
		}
		if err != nil {
			return bad(line)
		}
	}
	if e.State < 0 {
		return bad("no state")
	}
	return e, nil
}

// cutID takes an id and a blank off a line.
func cutID(line string) (ID, string, error) {
	word, rest, _ := strings.Cut(line, " ")
	id, err := ParseID(word)
	return id, rest, err
}

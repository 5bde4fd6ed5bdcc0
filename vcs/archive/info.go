package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"arpeggio/vcs"
)

// Info says what the archive of an epoch holds. It lies beside it as a text file
// epoch-<n>.info of lines `field value`, the last of which is their checksum.
type Info struct {
	Epoch   int
	Name    string // of the pack or bundle, relative to the directory
	SHA256  [32]byte
	Bytes   int64 // of the pack or bundle
	Objects int
	Commits int
	Began   time.Time
	Ended   time.Time
	HeadRef string // the store's head branch, or the first of its refs
	Head    vcs.ID
	// Starts are where the first parents of the refs end: roots of the epoch.
	Starts []vcs.ID
	// Refs are the epoch's other refs.
	Refs  []Ref
	Roots []vcs.EpochRoot
}

// Ref is a ref of an epoch. Peeled is the target, or what an annotated tag
// finally names; an older epoch may hold it.
type Ref struct {
	vcs.Ref
	Peeled vcs.ID
}

// Receipt returns what Archive returned for the epoch.
func (in *Info) Receipt() vcs.Receipt {
	return vcs.Receipt{Name: in.Name, SHA256: in.SHA256, Bytes: in.Bytes}
}

// infoName returns the name of an epoch's info file.
func infoName(epoch int) string { return epochName(epoch) + ".info" }

func epochName(epoch int) string { return fmt.Sprintf("epoch-%06d", epoch) }

// epochOf reads the number out of the name of one of an epoch's files.
func epochOf(name string) (epoch int, suffix string, ok bool) {
	rest, ok := strings.CutPrefix(name, "epoch-")
	digits, suffix, dot := strings.Cut(rest, ".")
	if n, err := strconv.Atoi(digits); ok && dot && err == nil && n > 0 && epochName(n)+"."+suffix == name {
		return n, suffix, true
	}
	return 0, "", false
}

func (in *Info) encode() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "epoch %d\nfile %s\nsha256 %x\nbytes %d\nobjects %d\ncommits %d\nbegan %s\nended %s\nhead %v %s\n",
		in.Epoch, in.Name, in.SHA256, in.Bytes, in.Objects, in.Commits, clock(in.Began), clock(in.Ended), in.Head, in.HeadRef)
	for _, id := range in.Starts {
		fmt.Fprintf(&b, "start %v\n", id)
	}
	for _, r := range in.Refs {
		fmt.Fprintf(&b, "ref %v %v %s\n", r.Target, r.Peeled, r.Name)
	}
	for _, r := range in.Roots {
		fmt.Fprintf(&b, "root %v %v %v %s %s\n", r.Root, r.Old, r.Replacement, base64.StdEncoding.EncodeToString(r.ReplacementBytes), r.Ref)
	}
	fmt.Fprintf(&b, "sum %x\n", sha256.Sum256(b.Bytes()))
	return b.Bytes()
}

// clock writes a time so that it is read back the same; "-" is none.
func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// parseInfo reads an info file. The error wraps ErrDamaged.
func parseInfo(b []byte) (*Info, error) {
	in := &Info{}
	at := bytes.LastIndex(b, []byte("sum "))
	if at < 0 || string(b[at:]) != fmt.Sprintf("sum %x\n", sha256.Sum256(b[:at])) {
		return nil, fmt.Errorf("%w: it does not match its checksum", ErrDamaged)
	}
	for line := range strings.Lines(string(b[:at])) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if err := in.set(key, value); err != nil {
			return nil, fmt.Errorf("%w: line %.60q: %w", ErrDamaged, line, err)
		}
	}
	if in.Epoch < 1 || !filepath.IsLocal(in.Name) || in.HeadRef == "" || in.Head.IsZero() {
		return nil, fmt.Errorf("%w: lines are missing", ErrDamaged)
	}
	return in, nil
}

func (in *Info) set(key, value string) (err error) {
	switch key {
	case "epoch":
		in.Epoch, err = strconv.Atoi(value)
	case "file":
		in.Name = value
	case "sha256":
		var n int
		if n, err = hex.Decode(in.SHA256[:], []byte(value[:min(len(value), 64)])); err == nil && n != 32 {
			err = fmt.Errorf("%d bytes", n)
		}
	case "bytes":
		in.Bytes, err = strconv.ParseInt(value, 10, 64)
	case "objects":
		in.Objects, err = strconv.Atoi(value)
	case "commits":
		in.Commits, err = strconv.Atoi(value)
	case "began":
		in.Began, err = parseClock(value)
	case "ended":
		in.Ended, err = parseClock(value)
	case "head":
		err = fields(value, &in.HeadRef, &in.Head)
	case "start":
		var id vcs.ID
		id, err = vcs.ParseID(value)
		in.Starts = append(in.Starts, id)
	case "ref":
		var r Ref
		err = fields(value, &r.Name, &r.Target, &r.Peeled)
		in.Refs = append(in.Refs, r)
	case "root":
		var r vcs.EpochRoot
		var rest, text string
		if err = fields(value, &rest, &r.Root, &r.Old, &r.Replacement); err == nil {
			text, r.Ref, _ = strings.Cut(rest, " ")
			r.ReplacementBytes, err = base64.StdEncoding.DecodeString(text)
		}
		in.Roots = append(in.Roots, r)
	default:
		err = fmt.Errorf("unknown field")
	}
	return err
}

// fields reads ids, and then text to the end of the line.
func fields(value string, text *string, ids ...*vcs.ID) error {
	for _, id := range ids {
		hex, rest, _ := strings.Cut(value, " ")
		var err error
		if *id, err = vcs.ParseID(hex); err != nil {
			return err
		}
		value = rest
	}
	*text = value
	return nil
}

func parseClock(s string) (time.Time, error) {
	if s == "-" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	return t.UTC(), err
}

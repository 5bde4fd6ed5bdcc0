package vcs

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"strconv"
)

// ID is the SHA-1 name of a Git object. It is comparable; the zero ID names
// nothing and stands for "absent" in ref updates.
type ID [sha1.Size]byte

// ParseID reads forty hexadecimal digits.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 2*len(id) {
		return ID{}, fmt.Errorf("%w: %q (want 40 hexadecimal digits)", ErrBadID, s)
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return ID{}, fmt.Errorf("%w: %q (want 40 hexadecimal digits)", ErrBadID, s)
	}
	return id, nil
}

// String returns forty lower-case hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Short returns the first seven digits, as `git log --oneline` shows them.
func (id ID) Short() string { return id.String()[:7] }

// IsZero reports whether id names nothing.
func (id ID) IsZero() bool { return id == ID{} }

// Kind is the type of a Git object. The numbers are those of the pack format.
type Kind uint8

const (
	KindCommit Kind = 1
	KindTree   Kind = 2
	KindBlob   Kind = 3
	KindTag    Kind = 4
)

// String returns Git's name of the kind, as it stands in object headers.
func (k Kind) String() string {
	switch k {
	case KindCommit:
		return "commit"
	case KindTree:
		return "tree"
	case KindBlob:
		return "blob"
	case KindTag:
		return "tag"
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

// Object is one Git object: its name, its kind and its content without the
// loose-object header.
type Object struct {
	ID      ID
	Kind    Kind
	Content []byte
}

// HashObject returns the ID that Git gives to an object of that kind and
// content.
func HashObject(k Kind, content []byte) ID {
	var head [32]byte
	return sha1Framed(appendHeader(head[:0], k, len(content)), content)
}

func appendHeader(b []byte, k Kind, size int) []byte {
	b = append(b, k.String()...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(size), 10)
	return append(b, 0)
}

// ObjectReader reads objects by name. Implementations are safe for concurrent
// use. The returned content belongs to the store: callers must not modify it.
// The error wraps ErrNotFound when the object is absent and ErrCorrupt when it
// is there but does not hash to its name.
type ObjectReader interface {
	ReadObject(id ID) (Kind, []byte, error)
}

// BulkReader is the ability of an ObjectReader that finds many objects in less
// time than one by one.
type BulkReader interface {
	// ReadAtHand sets found[i] to the object of ids[i] where that is at hand, and
	// leaves it as it is where ReadObject has to look. Found is as long as ids; the
	// contents belong to the store. It is safe for concurrent use.
	ReadAtHand(ids []ID, found []Object)
}

// Ref is a name (refs/heads/primary) and the object it points to.
type Ref struct {
	Name   string
	Target ID
}

// RefUpdate changes one ref by compare-and-swap: it applies only if the ref
// holds Old. A zero Old means "must not exist", a zero New means "delete".
type RefUpdate struct {
	Name     string
	Old, New ID
}

// RefReader lists refs. Refs returns a snapshot sorted by name; HEAD returns
// the name of the branch that a clone checks out.
type RefReader interface {
	Refs() ([]Ref, error)
	Head() string
}

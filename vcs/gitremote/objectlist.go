package gitremote

import (
	"errors"
	"fmt"
	"io"

	"arpeggio/vcs"
)

// objectList is the content of a pack in the making.
type objectList struct {
	ids  []vcs.ID
	byID map[vcs.ID]vcs.Object
}

func (l *objectList) add(o vcs.Object) {
	if l.byID == nil {
		l.byID = make(map[vcs.ID]vcs.Object)
	}
	if _, ok := l.byID[o.ID]; !ok {
		l.byID[o.ID] = o
		l.ids = append(l.ids, o.ID)
	}
}

func (l *objectList) put(k vcs.Kind, content []byte) vcs.ID {
	o := vcs.Object{ID: vcs.HashObject(k, content), Kind: k, Content: content}
	l.add(o)
	return o.ID
}

// encode writes a pack of the list's objects, which refer to each other and to
// objects of base.
func (l *objectList) encode(w io.Writer, base vcs.ObjectReader) error {
	return encodeList(w, overlay{l, base}, l.ids)
}

// ReadObject implements vcs.ObjectReader.
func (l *objectList) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	o, ok := l.byID[id]
	if !ok {
		return 0, nil, fmt.Errorf("%w: %s", vcs.ErrNotFound, id)
	}
	return o.Kind, o.Content, nil
}

// overlay reads from the first of two readers that has an object.
type overlay struct{ top, base vcs.ObjectReader }

func (o overlay) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	kind, content, err := o.top.ReadObject(id)
	if errors.Is(err, vcs.ErrNotFound) {
		return o.base.ReadObject(id)
	}
	return kind, content, err
}

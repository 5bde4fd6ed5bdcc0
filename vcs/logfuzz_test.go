package vcs

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"testing"
	"time"
)

// logState is a state whose log holds these records.
func logState(records ...[]byte) State {
	return State{Log: func(yield func([]byte, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	}}
}

// sampleLog returns the log of a small history.
func sampleLog(t testing.TB) ([][]byte, []Object) {
	t.Helper()
	l := newOplog(nothing{}.ReadObject)
	l.heads = make(map[string]ID)
	var records [][]byte
	var all []Object
	var head, tree ID
	work := newScratch(logSource{l})
	for i := range 130 {
		key := []string{"10.0.0.1", "a/10.0.0.2", "a/b/k"}[i%3]
		e := edit{path: key}
		if i%11 != 10 {
			e.content = []byte("state dynamic\nmac 02:00:00:00:00:0" + string(rune('0'+i%10)) + "\nclock " + time.Unix(int64(i), 0).UTC().Format(time.RFC3339) + "\n")
			e.id = HashObject(KindBlob, e.content)
		}
		if tree.IsZero() {
			tree = EmptyTree
		}
		var err error
		if tree, err = work.editTree(tree, []edit{e}); err != nil {
			t.Fatal(err)
		}
		c := Commit{Tree: tree, Message: "change " + key + " at " + time.Unix(int64(i), 0).UTC().Format(time.RFC3339) + "\n"}
		if i > 0 {
			c.Parents = []ID{head}
		}
		c.Author = Signature{Name: "n", Email: "n@n", When: time.Unix(int64(i), 0).UTC()}
		c.Committer = c.Author
		head = work.put(KindCommit, c.Encode(nil))
		if i%40 == 39 || i == 129 {
			st, err := l.stage(&group{objs: work.objs}, nil, staged{work}, nil)
			if err != nil {
				t.Fatal(err)
			}
			records = append(records[:len(records)-st.fold], st.records...)
			all = append(all, work.objs...)
			if err := l.publish(st, nil); err != nil {
				t.Fatal(err)
			}
			work = newScratch(logSource{l})
		}
	}
	return records, all
}

// staged is the source of a group that has no notes.
type staged struct{ *scratch }

func (staged) root(ID) *node { return nil }

// logSource reads from a log as scratch wants it.
type logSource struct{ *oplog }

func (s logSource) ReadObject(id ID) (Kind, []byte, error) { return 0, nil, ErrNotFound }

func (s logSource) ReadTree(id ID) (*Tree, error) {
	return loadTree(&logs{native: s.native, all: []*oplog{s.oplog}}, id)
}

func TestSampleLog(t *testing.T) {
	records, all := sampleLog(t)
	r, err := OpenLog(context.Background(), logState(records...), nothing{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range all {
		if kind, b, err := r.ReadObject(o.ID); err != nil || kind != o.Kind || string(b) != string(o.Content) {
			t.Fatalf("%v %v: %v", o.Kind, o.ID, err)
		}
	}
}

// FuzzLogRecord: whatever a log record holds, reading gives the right object or
// an error. The checksum is set right, or nothing would be found behind it.
func FuzzLogRecord(f *testing.F) {
	records, all := sampleLog(f)
	for _, r := range records {
		f.Add(r)
	}
	f.Fuzz(func(t *testing.T, rec []byte) {
		if len(rec) > 6 {
			rec = append([]byte(nil), rec...)
			binary.BigEndian.PutUint32(rec[2:], crc32.Checksum(rec[6:], castagnoli))
			if s, _, err := parseSegment(rec[1:]); err == nil && (s.n > 300 || s.firstKey > 1000) {
				t.Skip("takes long, no more")
			}
		}
		for _, records := range [][][]byte{{rec}, {records[0], rec}} {
			ls, err := loadLog(context.Background(), logState(records...), nothing{})
			if err != nil {
				t.Fatal(err)
			}
			l := ls.current()
			for num := range min(l.n, 200) {
				if _, err := l.state(num); err != nil {
					continue
				}
				if v, i, err := l.at(num); err == nil {
					if _, err := l.commitContent(v, i); err != nil {
						continue
					}
				}
			}
			for i := 0; i < len(all); i += 37 {
				kind, b, err := ls.ReadObject(all[i].ID)
				if err == nil && HashObject(kind, b) != all[i].ID {
					t.Errorf("%v: another object", all[i].ID)
				}
			}
			ls.pathIndex("a").skip(all[len(all)-1].ID)
		}
	})
}

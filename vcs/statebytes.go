package vcs

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
)

// The state of a commit of an operation log, from which later ones can be made
// without going through all that came before, is written as
//
//	"vcsstate" and the version, one octet,
//	CRC-32C of the rest, four octets,
//	id of the tree, 20 octets,
//	epoch, number of the commit in its log,
//	octets of the files when they are not compressed,
//	the files, compressed (RFC 1951), in the tree's order:
//	mode, octets of the path shared with the one before, those of the rest,
//	the rest, octets of the content, the content.
//
// Numbers are unsigned varints. The ids of files and folders are not written: they
// are computed when a state is used, and the commit's tree says whether they are
// right. So a state that is damaged, or of another history, costs time and changes
// nothing.
const stateMagic = "vcsstate\x01"

// maxState bounds the files of a state that is written or read.
const maxState = 1 << 28

var errNoStateBytes = errors.New("vcs: not the state of a commit")

// storedState is a state as it was written.
type storedState struct {
	tree ID
	num  uint32
	size uint64 // of the files
	rest []byte // compressed
}

// parseState reads the frame of a state.
func parseState(b []byte) (epoch int, s storedState, err error) {
	head := len(stateMagic) + 4
	if len(b) < head || string(b[:len(stateMagic)]) != stateMagic ||
		crc32.Checksum(b[head:], castagnoli) != binary.BigEndian.Uint32(b[len(stateMagic):]) {
		return 0, s, errNoStateBytes
	}
	r := byteReader{b: b[head:]}
	s.tree = r.id()
	e, num := r.uvarint(), r.uvarint()
	s.num, s.size = uint32(num), r.uvarint()
	s.rest = r.b
	if r.err != nil || e > 1<<31 || num >= 1<<31 || s.size > maxState {
		return 0, s, errNoStateBytes
	}
	return int(e), s, nil
}

// appendState writes a state. The error is that of a file that cannot be read.
func appendState(b []byte, epoch int, num uint32, root *node, load loader) ([]byte, error) {
	var files []byte
	prev := ""
	var walk func(n *node, dir string, depth int) error
	walk = func(n *node, dir string, depth int) error {
		for i := range n.dir.kids {
			e := n.dir.Entry(i)
			k, err := n.dir.kid(i, load)
			switch {
			case err != nil:
				return err
			case depth > maxDepth || len(files) > maxState:
				return fmt.Errorf("%w: the state of a commit", ErrTooLarge)
			}
			path := join(dir, e.Name)
			if k.mode.IsDir() {
				if err := walk(k, path, depth+1); err != nil {
					return err
				}
				continue
			}
			content := k.file()
			if k.mode == ModeSubmodule {
				content = k.id[:]
			} else if k.known && content == nil && k.id != HashObject(KindBlob, nil) {
				return fmt.Errorf("%w: %s", ErrNotFound, path) // a damaged file
			}
			same := 0
			for same < min(len(prev), len(path)) && prev[same] == path[same] {
				same++
			}
			files = binary.AppendUvarint(binary.AppendUvarint(files, uint64(k.mode)), uint64(same))
			files = appendBytes(appendBytes(files, path[same:]), content)
			prev = path
		}
		return nil
	}
	if err := walk(root, "", 0); err != nil {
		return b, err
	}
	at := len(b)
	b = append(append(b, stateMagic...), 0, 0, 0, 0)
	b = append(b, root.id[:]...)
	for _, u := range []uint64{uint64(epoch), uint64(num), uint64(len(files))} {
		b = binary.AppendUvarint(b, u)
	}
	out := bytes.NewBuffer(b)
	z, _ := flate.NewWriter(out, flate.BestSpeed) // the level is one
	_, err := z.Write(files)
	if err := errors.Join(err, z.Close()); err != nil {
		return b, err
	}
	b = out.Bytes()
	crc := at + len(stateMagic)
	binary.BigEndian.PutUint32(b[crc:], crc32.Checksum(b[crc+4:], castagnoli))
	return b, nil
}

// root makes the state, with all ids computed, and checks that it is the one of
// its tree.
func (s *storedState) root() (*node, error) {
	files := make([]byte, s.size)
	z := flate.NewReader(bytes.NewReader(s.rest))
	if _, err := io.ReadFull(z, files); err != nil {
		return nil, errNoStateBytes
	}
	d := stateReader{r: byteReader{b: files}}
	d.next()
	root, err := d.folder("", 0)
	if err == nil && (d.r.err != nil || d.more) {
		err = errNoStateBytes
	}
	if err == nil && root.id != s.tree {
		err = fmt.Errorf("%w: state of commit %d hashes to %v, not to %v", ErrCorrupt, s.num, root.id, s.tree)
	}
	return root, err
}

// stateReader makes nodes of files.
type stateReader struct {
	r       byteReader
	more    bool // the next one is
	path    string
	mode    Mode
	content []byte
}

// next goes to the next file.
func (d *stateReader) next() {
	if d.more = len(d.r.b) > 0; !d.more {
		return
	}
	d.mode = Mode(d.r.uvarint())
	same := d.r.uvarint()
	if same > uint64(len(d.path)) || !d.mode.valid() || d.mode.IsDir() {
		d.r.fail("state")
		same = 0
	}
	d.path = d.path[:same] + string(d.r.bytes())
	d.content = bytes.Clone(d.r.bytes()) // or each would keep all others
	d.more = d.r.err == nil
}

// folder makes a folder of the files that follow, as far as they are in it.
func (d *stateReader) folder(dir string, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, errNoStateBytes
	}
	var raw []byte
	var kids []*node
	for d.more && strings.HasPrefix(d.path, dir) {
		name, _, below := strings.Cut(d.path[len(dir):], "/")
		var n *node
		if below {
			var err error
			if n, err = d.folder(dir+name+"/", depth+1); err != nil {
				return nil, err
			}
		} else {
			n = newFile(d.mode, d.content, nil)
			n.known = true
			if d.mode == ModeSubmodule {
				if len(d.content) != len(n.id) {
					return nil, errNoStateBytes
				}
				n.id, n.data, n.size = ID(d.content), nil, 0
			} else {
				n.id = HashObject(KindBlob, d.content)
			}
			d.next()
		}
		kids = append(kids, n)
		raw = append(append(append(raw, n.mode.String()...), ' '), name...)
		raw = append(append(raw, 0), n.id[:]...)
	}
	t, err := ParseTree(raw)
	if err != nil {
		return nil, errNoStateBytes
	}
	return folderOf(t, HashObject(KindTree, raw), kids), nil
}

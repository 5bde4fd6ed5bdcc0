package gitremote

import (
	"os"
	"path/filepath"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
)

// packSet reads objects from the packs of a directory as they were when it was
// opened. A pack that cannot be opened is not in it: what that holds is
// go-git's to find, or to complain of. It is for one goroutine at a time.
type packSet struct {
	packs []openPack
	last  int // where the last object was
}

// openPack is a pack with the files that it is read from.
type openPack struct {
	*packfile.File
	files [2]*os.File
}

// minCache is the least that a pack has of cacheBytes.
const minCache = 256 << 10

// openPacks opens the complete packs of objects/pack.
func openPacks(dir string) *packSet {
	s := new(packSet)
	names, err := packNames(dir)
	if err != nil {
		return s
	}
	sizes, total := make([]int64, len(names)), int64(1)
	for i, name := range names {
		if fi, err := os.Stat(filepath.Join(dir, name+".pack")); err == nil {
			sizes[i] = fi.Size()
			total += sizes[i]
		}
	}
	for i, name := range names {
		cache := max(minCache, int(cacheBytes*float64(sizes[i])/float64(total)))
		if p, err := openOnePack(filepath.Join(dir, name), cache); err == nil {
			s.packs = append(s.packs, p)
		}
	}
	return s
}

// openOnePack opens a pack by its path without extension.
func openOnePack(path string, cache int) (p openPack, err error) {
	var sizes [2]int64
	for i, ext := range []string{".pack", ".idx"} {
		if p.files[i], err = os.Open(path + ext); err != nil {
			break
		}
		fi, serr := p.files[i].Stat()
		if err = serr; err != nil {
			break
		}
		sizes[i] = fi.Size()
	}
	if err == nil {
		p.File, err = packfile.OpenFile(p.files[0], sizes[0], p.files[1], sizes[1], packfile.FileConfig{CacheBytes: cache})
	}
	if err != nil {
		p.close()
	}
	return p, err
}

func (p *openPack) close() {
	for _, f := range p.files {
		f.Close() // nil has nothing to close
	}
}

// read returns an object and checks it against its name; ok is false when no pack
// has it whole.
func (s *packSet) read(id vcs.ID) (kind vcs.Kind, content []byte, ok bool) {
	for k := range s.packs {
		i := (s.last + k) % len(s.packs)
		if kind, content, err := s.packs[i].ReadObject(id); err == nil {
			s.last = i
			return kind, content, true
		}
	}
	return 0, nil, false
}

func (s *packSet) close() {
	for i := range s.packs {
		s.packs[i].close()
	}
	s.packs = nil
}

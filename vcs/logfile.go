package vcs

import (
	"encoding/binary"
	"slices"
	"sort"
)

// touchIndex says which commits of a log changed a key: four bytes a change.
// It is made when somebody asks for it.
type touchIndex struct {
	covered uint32     // commits below are in it
	keys    [][]uint32 // ascending, by the number of the key
	breaks  []uint32   // commits that do not simply follow the one before; ascending
}

// touch brings the index up to date. The lock is held.
func (l *oplog) touch() *touchIndex {
	x := &l.touches
	for _, s := range l.segs[sort.Search(len(l.segs), func(i int) bool { return l.segs[i].first+l.segs[i].n > x.covered }):] {
		if s.first > x.covered {
			x.breaks = append(x.breaks, s.first) // those between are missing
		}
		keys := s.raw[s.keys:s.ops]
		number := func() uint64 {
			u, n := binary.Uvarint(keys)
			keys = keys[max(n, 0):]
			return u
		}
		for i, flags := range s.raw[s.flags:s.keys] {
			num := s.first + uint32(i)
			fresh := num >= x.covered
			if fresh && flags&parentsMask != parentsPrev && (len(x.breaks) == 0 || x.breaks[len(x.breaks)-1] < num) {
				x.breaks = append(x.breaks, num)
			}
			if flags&flagList == 0 {
				if u := number(); fresh {
					x.add(u, num)
				}
				continue
			}
			key := int64(0)
			for n := number(); n > 0 && len(keys) > 0; n-- {
				u := number() >> 2
				if key += int64(u>>1) ^ -int64(u&1); fresh {
					x.add(uint64(key), num)
				}
			}
		}
		x.covered = s.first + s.n
	}
	return x
}

func (x *touchIndex) add(key uint64, num uint32) {
	if key >= 1<<31 {
		return // no encoder writes that, and who reads the commit hears of it
	}
	for uint64(len(x.keys)) <= key {
		x.keys = append(x.keys, nil)
	}
	x.keys[key] = append(x.keys[key], num)
}

// atMost returns the last of some ascending numbers that is not above one.
func atMost(nums []uint32, num uint32) (last uint32, ok bool) {
	i, found := slices.BinarySearch(nums, num)
	if found {
		return num, true
	}
	if i == 0 {
		return 0, false
	}
	return nums[i-1], true
}

// maxDetours bounds the commits that are passed one by one because they do not
// follow the one before.
const maxDetours = 4096

// chain returns the commits that made a key what it is in a commit, oldest first.
// Ok is false when the log does not have it all.
func (l *oplog) chain(num uint32, key int64) (nums []uint32, ok bool, err error) {
	x := l.touch()
	var touched []uint32
	if key >= 0 && key < int64(len(x.keys)) {
		touched = x.keys[key]
	}
	for range maxDetours {
		broken, ok := atMost(x.breaks, num)
		if !ok {
			return nil, false, nil // the beginning is missing
		}
		// Down to the break, each follows the one before.
		last, _ := slices.BinarySearch(touched, num+1)
		first, _ := slices.BinarySearch(touched, broken)
		for i := last - 1; i >= first; i-- {
			nums = append(nums, touched[i])
		}
		v, i, err := l.at(broken)
		if err != nil {
			return nil, false, err
		}
		if num = v.rec(i).parent; num != noParent {
			continue
		}
		if !v.rec(i).based {
			if parents, err := v.parentsOf(i); err != nil || len(parents) > 0 {
				return nil, false, err // it goes on outside of the log
			}
		}
		slices.Reverse(nums)
		return nums, true, nil
	}
	return nil, false, nil
}

// fileChain is what a file was in the commits that changed it.
type fileChain struct {
	path  string
	nums  []uint32 // oldest first
	files []fileVersion
}

type fileVersion struct {
	mode    Mode // 0: there is none
	content []byte
}

// maxChain bounds the versions of a file that are gone through for one.
const maxChain = 1 << 16

// fileAt returns a file as it is in a commit, made of its own changes alone. Ok is
// false when the state of the commit is at hand, or has to be made.
func (l *oplog) fileAt(num uint32, path string) (f fileVersion, ok bool, err error) {
	l.wake()
	if l.damage != nil || l.states.get(num) != nil || l.pooledState(num) != nil {
		return f, false, nil
	}
	key := int64(-1)
	if k, ok := l.keyNo[path]; ok {
		key = int64(k)
	}
	nums, ok, err := l.chain(num, key)
	if err != nil || !ok || len(nums) > maxChain {
		return f, false, err
	}
	if key < 0 {
		return f, !l.isFolder(path), nil
	}
	c := &l.lastChain
	if c.path != path {
		*c = fileChain{path: path}
	}
	same := 0
	for same < len(nums) && same < len(c.nums) && nums[same] == c.nums[same] {
		same++
	}
	if same == len(nums) {
		// It is a part of what is known.
		if same > 0 {
			f = c.files[same-1]
		}
		l.reach(f)
		return f, true, nil
	}
	c.nums, c.files = c.nums[:same], c.files[:same]
	if same > 0 {
		f = c.files[same-1]
	}
	for _, n := range nums[same:] {
		if f, ok, err = l.nextVersion(n, uint32(key), f); err != nil || !ok {
			return f, false, err
		}
		c.nums, c.files = append(c.nums, n), append(c.files, f)
	}
	l.reach(f)
	return f, true, nil
}

// reach makes it possible to read a file by its id next.
func (l *oplog) reach(f fileVersion) {
	if f.mode == 0 {
		return
	}
	n := newFile(f.mode, f.content, nil)
	n.hash()
	l.recall.add(n)
}

// isFolder reports whether a path that is no file's has files below it.
func (l *oplog) isFolder(path string) bool {
	return slices.ContainsFunc(l.keys, func(k string) bool {
		return len(k) > len(path) && k[len(path)] == '/' && k[:len(path)] == path
	})
}

// nextVersion makes a file out of what it was before a commit. Ok is false for
// what is no file.
func (l *oplog) nextVersion(num, key uint32, old fileVersion) (f fileVersion, ok bool, err error) {
	v, i, err := l.at(num)
	if err != nil {
		return f, false, err
	}
	f, ok = old, true
	x := changeReader{log: l, view: v, i: i}
	err = v.eachChange(i, func(c viewChange) error {
		if c.key != key {
			return nil
		}
		if _, err := x.next(c); err != nil {
			return err
		}
		switch c.kind {
		case changeRemove:
			f = fileVersion{}
		case changeLink:
			ok = false
		default:
			content, err := x.content(f.content)
			f = fileVersion{c.mode, content}
			return err
		}
		return nil
	})
	return f, ok, err
}

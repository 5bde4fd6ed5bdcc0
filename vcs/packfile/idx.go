package packfile

import (
	"bufio"
	"crypto/sha1"
	"encoding/binary"
	"io"
)

// WriteIndex writes the pack's index, version 2 (gitformat-pack(5)), to lie
// beside the pack as its .idx file. A thin pack has no index of use.
func (p *Pack) WriteIndex(w io.Writer) error {
	h := sha1.New()
	out := bufio.NewWriter(io.MultiWriter(w, h))
	var b [8]byte
	u32 := func(v uint32) {
		binary.BigEndian.PutUint32(b[:], v)
		out.Write(b[:4]) // errors stick until Flush
	}
	out.WriteString("\xfftOc")
	u32(2)
	var upTo [256]uint32
	for _, i := range p.byID {
		upTo[p.objects[i].id[0]]++
	}
	n := uint32(0)
	for _, k := range upTo {
		n += k
		u32(n)
	}
	for _, i := range p.byID {
		out.Write(p.objects[i].id[:])
	}
	for _, i := range p.byID {
		u32(p.objects[i].crc)
	}
	var far []int64
	for _, i := range p.byID {
		off := p.objects[i].off
		if off >= 1<<31 {
			far = append(far, off)
			off = 1<<31 | int64(len(far)-1)
		}
		u32(uint32(off))
	}
	for _, off := range far {
		binary.BigEndian.PutUint64(b[:], uint64(off))
		out.Write(b[:])
	}
	out.Write(p.sum[:])
	if err := out.Flush(); err != nil {
		return err
	}
	_, err := w.Write(h.Sum(nil))
	return err
}

package packfile

import "io"

// WriteIndex writes the pack's index, version 2 (gitformat-pack(5)), to lie
// beside the pack as its .idx file. A thin pack has no index of use.
func (p *Pack) WriteIndex(w io.Writer) error {
	out := newHashed(w)
	out.WriteString("\xfftOc")
	out.u32(2)
	var upTo [256]uint32
	for _, i := range p.byID {
		upTo[p.objects[i].id[0]]++
	}
	n := uint32(0)
	for _, k := range upTo {
		n += k
		out.u32(n)
	}
	for _, i := range p.byID {
		out.Write(p.objects[i].id[:])
	}
	for _, i := range p.byID {
		out.u32(p.objects[i].crc)
	}
	var far []int64
	for _, i := range p.byID {
		off := p.objects[i].off
		if off >= 1<<31 {
			far = append(far, off)
			off = 1<<31 | int64(len(far)-1)
		}
		out.u32(uint32(off))
	}
	for _, off := range far {
		out.u64(uint64(off))
	}
	out.Write(p.sum[:])
	return out.finish()
}

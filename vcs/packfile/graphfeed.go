package packfile

import "io"

// write writes the file of the commits that came.
func (f *graphFeed) write(w io.Writer) error {
	c := graphColumns{n: f.n, edges: f.edges, far: len(f.far), filters: f.filters, fanout: f.fanout}
	rows := func(row func(*hashed, *graphRecord, int) error) func(*hashed) error {
		return func(out *hashed) error {
			i := 0
			return f.runs.each(func(r *graphRecord) error {
				if r.again {
					return nil
				}
				if i++; i%1024 == 0 {
					if err := f.ctx.Err(); err != nil {
						return err
					}
				}
				return row(out, r, i-1)
			})
		}
	}
	c.ids = rows(func(out *hashed, r *graphRecord, _ int) error {
		_, err := out.Write(r.id[:])
		return err
	})
	sizes := makePieces[uint16](f.n) // of the filters
	var edges []uint32
	c.data = rows(func(out *hashed, r *graphRecord, i int) error {
		*sizes.at(i) = uint16(len(r.filter))
		two := [2]uint32{graphNone, graphNone}
		from := len(edges)
		n := f.parents(r.number, func(k int, p uint32) {
			at := *f.place.at(int(p))
			if k < 2 {
				two[k] = at
			}
			if k > 0 {
				edges = append(edges, at)
			}
		})
		if n > 2 {
			two[1] = graphMore | uint32(from)
			edges[len(edges)-1] |= graphMore
		} else {
			edges = edges[:from]
		}
		out.Write(r.tree[:])
		out.u32(two[0])
		out.u32(two[1])
		out.u32(*f.level.at(i)<<2 | uint32(r.date>>32))
		out.u32(uint32(r.date))
		return nil
	})
	var far []uint64
	c.late = func(out *hashed) error {
		for i := range f.n {
			l := *f.late.at(i)
			if l&graphMore != 0 {
				far = append(far, f.far[l&^graphMore])
				l = graphMore | uint32(len(far)-1)
			}
			out.u32(l)
		}
		return f.ctx.Err()
	}
	c.overflow = func(out *hashed) error {
		for _, l := range far {
			out.u64(l)
		}
		return nil
	}
	c.octopus = func(out *hashed) error {
		for _, e := range edges {
			out.u32(e)
		}
		return nil
	}
	c.index = func(out *hashed) error {
		upTo := uint32(0)
		for i := range f.n {
			upTo += uint32(*sizes.at(i))
			out.u32(upTo)
		}
		return f.ctx.Err()
	}
	c.bloom = rows(func(out *hashed, r *graphRecord, _ int) error {
		_, err := out.Write(r.filter)
		return err
	})
	return c.write(w)
}

package packfile

import (
	"bufio"
	"fmt"
	"io"
)

// content makes the content of object i, whose base is known: from the nearest
// one of its chain that is at hand.
func (p *Pack) content(i int32) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var chain []int32 // from i down to the first that needs no other
	var b []byte
	for at := i; ; {
		var ok bool
		if b, ok = p.cache.get(at); ok {
			break
		}
		if at <= outside {
			var err error
			if _, b, err = p.outside.ReadObject(p.bases[outside-at]); err != nil {
				return nil, fmt.Errorf("packfile: delta base: %w", err)
			}
			if err := p.spend(len(b)); err != nil {
				return nil, err
			}
			p.cache.put(at, b)
			break
		}
		chain = append(chain, at)
		if at = p.objects[at].base; at == noBase {
			break
		}
	}
	for k := len(chain) - 1; k >= 0; k-- {
		o := p.objects[chain[k]]
		stored, err := p.stored(o)
		if err != nil {
			return nil, err
		}
		if o.base == noBase {
			b = stored
		} else if b, err = applyDelta(b, stored, p.limits.ObjectBytes); err != nil {
			return nil, fmt.Errorf("%w (object at offset %d)", err, o.off)
		}
		if err := p.spend(len(stored) + len(b)); err != nil {
			return nil, err
		}
		p.cache.put(chain[k], b)
	}
	return b, nil
}

// stored inflates what the scratch holds of an object.
func (p *Pack) stored(o packed) ([]byte, error) {
	at := o.off + int64(o.head)
	// Whatever the compression, little more than the content's size.
	room := min(p.end-at, int64(o.stored)+1024)
	r := bufio.NewReaderSize(io.NewSectionReader(p.scratch, at, p.end-at), int(min(room, 32<<10)))
	b, err := p.zlib.inflate(r, int(o.stored))
	if err != nil {
		return nil, fmt.Errorf("packfile: read back the entry at offset %d: %w", o.off, err)
	}
	return b, nil
}

func (p *Pack) spend(n int) error {
	if p.work += int64(n); p.work > workFree+workFactor*p.total {
		return fmt.Errorf("%w: its deltas cost too much to apply", ErrLimit)
	}
	return nil
}

// contents keeps contents in two generations of at most half of max.
type contents struct {
	max        int
	young, old map[int32][]byte
	size       int
}

func (c *contents) get(i int32) ([]byte, bool) {
	if b, ok := c.young[i]; ok {
		return b, true
	}
	b, ok := c.old[i]
	if ok {
		c.put(i, b)
	}
	return b, ok
}

func (c *contents) put(i int32, b []byte) {
	if _, ok := c.young[i]; ok {
		return
	}
	n := len(b) + 64
	if c.young == nil || c.size+n > c.max/2 {
		c.old, c.young, c.size = c.young, make(map[int32][]byte), 0
	}
	c.young[i] = b
	c.size += n
}

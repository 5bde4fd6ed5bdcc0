package packfile

import (
	"bufio"
	"fmt"
	"io"

	"arpeggio/vcs"
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
		var have cached
		if have, ok = p.cache.get(int64(at)); ok {
			b = have.content
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
			p.cache.put(int64(at), cached{content: b})
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
		} else if b, err = applyDelta(nil, b, stored, p.limits.ObjectBytes); err != nil {
			return nil, fmt.Errorf("%w (object at offset %d)", err, o.off)
		}
		if err := p.spend(len(stored) + len(b)); err != nil {
			return nil, err
		}
		p.cache.put(int64(chain[k]), cached{content: b})
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

// cached is an object's content. Those who know its kind otherwise leave it out.
type cached struct {
	kind    vcs.Kind
	content []byte
}

// contents keeps contents in two generations of at most half of max.
type contents struct {
	max        int
	young, old map[int64]cached
	size       int
}

func (c *contents) get(i int64) (cached, bool) {
	if b, ok := c.young[i]; ok {
		return b, true
	}
	b, ok := c.old[i]
	if ok {
		c.put(i, b)
	}
	return b, ok
}

// take returns what is kept and keeps it no longer.
func (c *contents) take(i int64) (cached, bool) {
	b, ok := c.young[i]
	if ok {
		c.size -= len(b.content) + 64
		delete(c.young, i)
		return b, true
	}
	if b, ok = c.old[i]; ok {
		delete(c.old, i)
	}
	return b, ok
}

func (c *contents) put(i int64, b cached) {
	if _, ok := c.young[i]; ok {
		return
	}
	n := len(b.content) + 64
	if c.young == nil || c.size+n > c.max/2 {
		c.old, c.young, c.size = c.young, make(map[int64]cached, len(c.young)), 0
	}
	c.young[i] = b
	c.size += n
}

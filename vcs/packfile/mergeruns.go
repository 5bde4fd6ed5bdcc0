package packfile

import (
	"container/heap"
	"io"
)

// sortedRun reads a run of sorted records, one after the other.
type sortedRun[R any] interface {
	next() error   // to the next record; io.EOF behind the last
	before(R) bool // whether its record goes before that of another run
}

// mergeRuns visits the records of some runs, of which none is empty, in order:
// the run that is given is at the record.
func mergeRuns[R sortedRun[R]](runs []R, visit func(R) error) error {
	for _, r := range runs {
		if err := r.next(); err != nil {
			return err
		}
	}
	h := runHeap[R](runs)
	heap.Init(&h)
	for len(h) > 0 {
		if err := visit(h[0]); err != nil {
			return err
		}
		switch err := h[0].next(); err {
		case nil:
			heap.Fix(&h, 0)
		case io.EOF:
			heap.Pop(&h)
		default:
			return err
		}
	}
	return nil
}

type runHeap[R sortedRun[R]] []R

func (h runHeap[R]) Len() int           { return len(h) }
func (h runHeap[R]) Less(i, j int) bool { return h[i].before(h[j]) }
func (h runHeap[R]) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *runHeap[R]) Push(x any)        { *h = append(*h, x.(R)) }
func (h *runHeap[R]) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

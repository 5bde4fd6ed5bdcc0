package packfile

// pieces is a list that lies in many small pieces of memory: growing copies
// nothing, and a collector that is to keep within a limit hears of the need
// before all of it is taken.
type pieces[T any] struct {
	list [][]T
	n    int
}

const pieceLen = 4 << 10

// makePieces returns a list of n zero values.
func makePieces[T any](n int) (p pieces[T]) {
	for range (n + pieceLen - 1) / pieceLen {
		p.list = append(p.list, make([]T, pieceLen))
	}
	p.n = n
	return p
}

// at returns where the i-th value is.
func (p *pieces[T]) at(i int) *T { return &p.list[i/pieceLen][i%pieceLen] }

// push appends a value.
func (p *pieces[T]) push(v T) {
	if p.n == len(p.list)*pieceLen {
		p.list = append(p.list, make([]T, pieceLen))
	}
	p.n++
	*p.at(p.n - 1) = v
}

package badger

import (
	"fmt"
	"iter"

	"github.com/dgraph-io/badger/v4"

	"arpeggio/vcs"
)

// listAtOnce is how many ids one look at the tree returns, so that no iteration
// of somebody else keeps old tables from being deleted.
const listAtOnce = 4096

// Objects implements vcs.ObjectLister.
func (b *Backend) Objects() iter.Seq2[vcs.ID, error] {
	return func(yield func(vcs.ID, error) bool) {
		from := []byte{objectMark}
		for more := true; more; {
			var ids []vcs.ID
			err := b.view(func(txn *badger.Txn) error {
				it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{objectMark}})
				defer it.Close()
				for it.Seek(from); it.Valid() && len(ids) < listAtOnce; it.Next() {
					if k := it.Item().Key()[1:]; len(k) == len(vcs.ID{}) {
						ids = append(ids, vcs.ID(k))
					}
				}
				more = it.Valid()
				return nil
			})
			if err != nil {
				yield(vcs.ID{}, fmt.Errorf("badger: list objects of %s: %w", b.dir, err))
				return
			}
			for _, id := range ids {
				if !yield(id, nil) {
					return
				}
				from = append(objectKey(id), 0)
			}
		}
	}
}

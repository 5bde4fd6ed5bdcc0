//go:build !unix

package badger

// diskSpace does not know on this system.
func diskSpace(string) (free, total int64, ok bool) { return 0, 0, false }

// whileUnlocked runs fn; this system has no advisory locks on directories.
func whileUnlocked(_ string, fn func() error) error { return fn() }

//go:build !unix

package badger_test

import "os"

// fileUse returns the length of a file, 0 when it is gone.
func fileUse(path string) int64 {
	fi, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return fi.Size()
}

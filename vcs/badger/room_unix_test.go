//go:build unix

package badger_test

import "golang.org/x/sys/unix"

// fileUse returns the bytes that a file takes on its disk, 0 when it is gone.
func fileUse(path string) int64 {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0
	}
	return int64(st.Blocks) * 512
}

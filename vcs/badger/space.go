//go:build unix

package badger

import "golang.org/x/sys/unix"

// diskSpace returns the free and the total bytes of a directory's file system;
// ok is false when it does not say.
func diskSpace(dir string) (free, total int64, ok bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil || st.Blocks == 0 {
		return 0, 0, false
	}
	size := int64(st.Bsize)
	return int64(st.Bavail) * size, int64(st.Blocks) * size, true
}

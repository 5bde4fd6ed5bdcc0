// Package vmimage makes the files that a virtual machine boots from, with plain
// Go and no external programs: an initramfs that holds one static binary as
// /init, and a new data disk. It also looks at the files it is given (a kernel,
// a binary, an existing disk) closely enough to refuse the wrong ones with a
// sentence that says what to do.
//
// The same input gives the same bytes: entries are sorted, times are zero and
// inode numbers are counted, so that an image can be compared and cached by its
// SHA-256. The package starts no process and knows nothing of QEMU.
//
// The data disk is an ext4 file system that belongs to the guest. This package
// unpacks a small prepared one and gives the file its full size; the guest
// grows the file system when it first mounts it. Nothing here parses ext4
// beyond the superblock's magic, label and UUID.
package vmimage

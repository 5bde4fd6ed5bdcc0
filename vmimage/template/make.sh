#!/bin/sh
# Makes disk.ext4.gz, the file system of a new data disk: 32 MiB of ext4 that
# holds the marker file, with room in its tables to be grown online to 16 GiB.
# Run it by `go generate ./vmimage`; needs mkfs.ext4, debugfs and e2fsck
# (e2fsprogs) and gzip. The result depends on the version of e2fsprogs, which is
# why it is kept and not made by the build.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/root"
printf 'format 1\nThis file marks a data disk of arpeggio. Do not remove it.\n' >"$work/root/ARPEGGIO"
uuid=61727065-6767-0010-a000-000000000001
export E2FSPROGS_FAKE_TIME=1767225600 # 2026-01-01
# 4 KiB blocks; one inode for 16 KiB; checksums on all metadata; no reserved
# blocks; nothing left for the kernel to initialise later.
mkfs.ext4 -q -F -b 4096 -i 16384 -m 0 -L arpeggio -U "$uuid" \
	-O metadata_csum,64bit,resize_inode,^orphan_file \
	-E "hash_seed=$uuid,resize=4194304,lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0" \
	-d "$work/root" "$work/disk.ext4" 32M >/dev/null
for field in atime ctime mtime crtime; do
	for file in / /ARPEGGIO /lost+found; do
		debugfs -w -R "set_inode_field $file $field @1767225600" "$work/disk.ext4" 2>/dev/null
	done
done
debugfs -w -R "set_inode_field /ARPEGGIO uid 0" "$work/disk.ext4" 2>/dev/null
debugfs -w -R "set_inode_field /ARPEGGIO gid 0" "$work/disk.ext4" 2>/dev/null
e2fsck -fn "$work/disk.ext4"
gzip -9n <"$work/disk.ext4" >disk.ext4.gz

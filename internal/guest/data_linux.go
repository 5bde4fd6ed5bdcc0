package guest

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// dataDir is where the data disk is mounted.
	dataDir = "/data"
	// markerFile in the data disk's root says that it is ours, and its format.
	markerFile = "ARPEGGIO"
	// diskFormat is the newest format of the data disk that this program knows.
	diskFormat = 1
)

// What our file systems carry in the superblock. The image package's template
// has both.
const (
	dataLabel = "arpeggio"
	dataUUID  = "6172706567670010a000000000000001"
)

// Superblock of ext2, 3 and 4: at octet 1024 of the device, fields little
// endian (Documentation/filesystems/ext4 of the Linux kernel, "Super Block").
const (
	superAt      = 1024
	superBlocks  = 0x04 // u32, size in blocks (our disks stay below 2^32 of them)
	superMagic   = 0x38 // u16, 0xef53
	superState   = 0x3a // u16, bit 1: errors were found
	superUUID    = 0x68 // 16 octets
	superLabel   = 0x78 // 16 octets
	superLogSize = 0x18 // u32, block size is 1024 << this
	ext4Magic    = 0xef53
	stateErrors  = 1 << 1
)

const (
	remedyForeign = "use another disk, or move this one away and let a new one be made; nothing was written to it"
	remedyDamaged = "check a copy of it on the host with e2fsck -f FILE, or move it away and let a new one be made; nothing was written to it"
)

// openData finds, checks, mounts and grows the data disk and returns its mount
// point, or "" when there is none and none is required.
func openData(policy DataPolicy, log *slog.Logger) (string, error) {
	if policy == DataNone {
		return "", nil
	}
	dev, err := findDisk()
	if err != nil {
		return "", err
	}
	if dev == "" {
		if policy == DataRequired {
			return "", &Fatal{"the machine has no data disk", "attach one, or let the guest run without (arpeggio.data=auto)"}
		}
		return "", nil
	}
	super, err := readSuper(dev)
	if err != nil {
		return "", err
	}
	if err := checkSuper(super); err != nil {
		return "", err
	}
	flags := uintptr(unix.MS_NOATIME | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	if err := unix.Mount(dev, dataDir, "ext4", flags, "errors=remount-ro"); err != nil {
		return "", &Fatal{fmt.Sprintf("the data disk is damaged: mounting it fails: %v", err), remedyDamaged}
	}
	if err := checkMarker(filepath.Join(dataDir, markerFile)); err != nil {
		return "", errors.Join(err, unix.Unmount(dataDir, 0))
	}
	if err := grow(dev, dataDir, super, log); err != nil {
		log.Warn("data disk: not grown", "error", err)
	}
	return dataDir, nil
}

// findDisk returns the first virtio disk's device file, or "".
func findDisk() (string, error) {
	disks, err := filepath.Glob("/sys/block/vd*")
	if err != nil || len(disks) == 0 {
		return "", err
	}
	return "/dev/" + filepath.Base(slices.Min(disks)), nil
}

func readSuper(dev string) ([]byte, error) {
	f, err := os.Open(dev)
	if err != nil {
		return nil, fmt.Errorf("data disk: %w", err)
	}
	defer f.Close()
	super := make([]byte, 1024)
	if _, err := f.ReadAt(super, superAt); err != nil && !errors.Is(err, io.EOF) {
		return nil, &Fatal{fmt.Sprintf("the data disk cannot be read: %v", err), "check the file on the host"}
	}
	return super, nil
}

// checkSuper decides from the superblock alone whether the disk may be mounted.
func checkSuper(super []byte) error {
	le := binary.LittleEndian
	if le.Uint16(super[superMagic:]) != ext4Magic {
		what := "content that is not an ext4 file system"
		if len(bytes.Trim(super, "\x00")) == 0 {
			what = "no file system (it is blank where one would start)"
		}
		return &Fatal{"the data disk holds " + what, remedyForeign}
	}
	label := strings.TrimRight(string(super[superLabel:superLabel+16]), "\x00")
	uuid := hex.EncodeToString(super[superUUID : superUUID+16])
	if label != dataLabel || uuid != dataUUID {
		return &Fatal{fmt.Sprintf("the data disk holds somebody else's file system (label %q)", label), remedyForeign}
	}
	if le.Uint16(super[superState:])&stateErrors != 0 {
		return &Fatal{"the data disk is marked as damaged by an earlier run", remedyDamaged}
	}
	return nil
}

// checkMarker reads the format's number: the file's first word after "format".
func checkMarker(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return &Fatal{"the data disk has no file " + markerFile + " and is not ours", remedyForeign}
	}
	n, err := parseMarker(b)
	switch {
	case err != nil:
		return &Fatal{fmt.Sprintf("the data disk's file %s is damaged: %v", markerFile, err), remedyDamaged}
	case n > diskFormat:
		return &Fatal{fmt.Sprintf("the data disk has format %d, this program knows up to %d", n, diskFormat), "use a newer program"}
	}
	return nil
}

func parseMarker(b []byte) (int, error) {
	line, _, _ := strings.Cut(string(b), "\n")
	num, ok := strings.CutPrefix(line, "format ")
	if !ok {
		return 0, fmt.Errorf("first line is %.40q", line)
	}
	n, err := strconv.Atoi(num)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("format is %.40q", num)
	}
	return n, nil
}

// ext4Resize is EXT4_IOC_RESIZE_FS, _IOW('f', 16, __u64): the new size in blocks.
const ext4Resize = 0x40086610

// grow extends the mounted file system to the device's size.
func grow(dev, at string, super []byte, log *slog.Logger) error {
	le := binary.LittleEndian
	block := int64(1024) << min(le.Uint32(super[superLogSize:]), 6)
	size, err := deviceSize(dev)
	if err != nil {
		return err
	}
	have, want := int64(le.Uint32(super[superBlocks:])), size/block
	if want <= have {
		return nil
	}
	dir, err := os.Open(at)
	if err != nil {
		return err
	}
	defer dir.Close()
	start, blocks := time.Now(), uint64(want)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, dir.Fd(), ext4Resize, uintptr(unsafe.Pointer(&blocks))); errno != 0 {
		return os.NewSyscallError("resize", errno)
	}
	log.Info("data disk grown", "from_mib", have*block>>20, "to_mib", want*block>>20, "took", time.Since(start).Round(time.Millisecond))
	return nil
}

// deviceSize returns a block device's size in octets.
func deviceSize(dev string) (int64, error) {
	f, err := os.Open(dev)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return f.Seek(0, io.SeekEnd)
}

// fileSystemSize returns the octets of a mounted file system, 0 for none.
func fileSystemSize(at string) int64 {
	var st unix.Statfs_t
	if at == "" || unix.Statfs(at, &st) != nil {
		return 0
	}
	return int64(st.Blocks) * st.Bsize
}

// unmountData unmounts the data disk, or makes it read-only when something
// still uses it.
func unmountData(at string) error {
	err := unix.Unmount(at, 0)
	if err == nil {
		return nil
	}
	if rerr := unix.Mount("", at, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); rerr != nil {
		return fmt.Errorf("neither unmounted (%w) nor made read-only (%w)", err, rerr)
	}
	return nil
}

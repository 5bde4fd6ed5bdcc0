package vmimage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// KernelInfo describes a kernel image.
type KernelInfo struct {
	Path    string
	Version string // as the kernel names itself, such as "7.1.3"; may be empty
	Size    int64  // octets of the file
}

// Offsets in the x86 boot sector and setup header: Documentation/arch/x86/boot.rst
// of the Linux kernel, "The Real-Mode Kernel Header".
const (
	offSetupSects  = 0x1f1 // u8
	offSysSize     = 0x1f4 // u32, 16-octet paragraphs
	offBootFlag    = 0x1fe // u16, 0xaa55
	offHeader      = 0x202 // "HdrS"
	offVersion     = 0x206 // u16, boot protocol
	offKernelVer   = 0x20e // u16, of the version string, less 0x200
	offLoadFlags   = 0x211 // u8
	offXLoadFlags  = 0x236 // u16
	setupHeaderEnd = 0x268

	loadedHigh  = 1 << 0 // in loadflags: a bzImage
	xlfKernel64 = 1 << 0 // in xloadflags: 64-bit entry point
	minProtocol = 0x20c  // 2.12 brought xloadflags
)

// Kernel looks at the file at path and reports why it cannot be booted as an
// x86-64 bzImage.
func Kernel(path string) (KernelInfo, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return KernelInfo{}, fmt.Errorf("vmimage: kernel %s does not exist; fetch it with: go mod download github.com/gokrazy/kernel.amd64", path)
	} else if err != nil {
		return KernelInfo{}, fmt.Errorf("vmimage: kernel: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return KernelInfo{}, fmt.Errorf("vmimage: kernel: %w", err)
	}
	if info.IsDir() {
		return KernelInfo{}, fmt.Errorf("vmimage: kernel %s is a directory; name the vmlinuz file in it", path)
	}
	version, err := readKernel(f, info.Size())
	if err != nil {
		return KernelInfo{}, fmt.Errorf("vmimage: kernel %s %w", path, err)
	}
	return KernelInfo{Path: path, Version: version, Size: info.Size()}, nil
}

// readKernel checks an image of size octets and returns its version. Errors
// continue the sentence "kernel FILE …".
func readKernel(r io.ReaderAt, size int64) (version string, err error) {
	h := make([]byte, setupHeaderEnd)
	if n, err := r.ReadAt(h, 0); n < len(h) && errors.Is(err, io.EOF) {
		return "", fmt.Errorf("is cut off: only %d bytes", n)
	} else if n < len(h) {
		return "", fmt.Errorf("cannot be read: %w", err)
	}
	if what := foreignKernel(h); what != "" {
		return "", fmt.Errorf("is %s; an x86-64 bzImage is needed", what)
	}
	u16 := func(off int) uint16 { return binary.LittleEndian.Uint16(h[off:]) }
	switch {
	case u16(offBootFlag) != 0xaa55 || string(h[offHeader:offHeader+4]) != "HdrS":
		return "", errors.New("is not a Linux kernel image; an x86-64 bzImage is needed")
	case u16(offVersion) < minProtocol:
		return "", fmt.Errorf("is too old: boot protocol %d.%02d, 2.12 is needed", u16(offVersion)>>8, u16(offVersion)&0xff)
	case h[offLoadFlags]&loadedHigh == 0:
		return "", errors.New("is a zImage; an x86-64 bzImage is needed")
	case u16(offXLoadFlags)&xlfKernel64 == 0:
		return "", errors.New("is built for 32-bit x86; an x86-64 kernel is needed")
	}
	setup := int64(h[offSetupSects])
	if setup == 0 {
		setup = 4
	}
	whole := (setup+1)*512 + int64(binary.LittleEndian.Uint32(h[offSysSize:]))*16
	// syssize is rounded up to a paragraph; the file may end inside the last one.
	if size+15 < whole {
		return "", fmt.Errorf("is cut off: %d of %d bytes", size, whole)
	}
	return kernelVersion(r, int64(u16(offKernelVer))), nil
}

// foreignKernel names images that people pass by mistake.
func foreignKernel(h []byte) string {
	switch {
	case bytes.HasPrefix(h, []byte("\x7fELF")):
		return "an unpacked ELF kernel (vmlinux)"
	case string(h[56:60]) == "ARM\x64":
		return "built for arm64"
	case bytes.HasPrefix(h, []byte{0x1f, 0x8b}):
		return "a gzip file"
	}
	return ""
}

// kernelVersion reads the release from the version string, whose first word it is.
func kernelVersion(r io.ReaderAt, off int64) string {
	if off == 0 {
		return ""
	}
	b := make([]byte, 64)
	n, _ := r.ReadAt(b, off+0x200) // a short read leaves a short name
	b, _, _ = bytes.Cut(b[:n], []byte{0})
	b, _, _ = bytes.Cut(b, []byte{' '})
	return string(b)
}

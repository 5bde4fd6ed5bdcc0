package tuntap

import (
	"encoding/binary"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
)

// maxBatch is how many frames one recvmmsg(2) or sendmmsg(2) moves.
const maxBatch = 16

// controlLen has room for a struct tpacket_auxdata and a struct timespec.
const controlLen = 128

func mmsg(trap uintptr, fd int, m []unix.Mmsghdr) (int, unix.Errno) {
	n, _, errno := unix.Syscall6(trap, uintptr(fd), uintptr(unsafe.Pointer(&m[0])), uintptr(len(m)), 0, 0, 0)
	return int(n), errno
}

// rxRing is what recvmmsg fills.
type rxRing struct {
	msgs    [maxBatch]unix.Mmsghdr
	vecs    [maxBatch][3]unix.Iovec // virtio header, Frame.Head, spill
	hdrs    [maxBatch][vnetLen]byte
	control [maxBatch][controlLen]byte
	spill   [maxBatch][]byte
}

func (r *rxRing) init() {
	all := make([]byte, maxBatch*spillLen) // touched, and so paid for, when super-frames come
	for i := range r.msgs {
		r.spill[i] = all[i*spillLen : (i+1)*spillLen]
		r.vecs[i][0] = iovec(r.hdrs[i][:])
		r.vecs[i][2] = iovec(r.spill[i])
		h := &r.msgs[i].Hdr
		h.Iov = &r.vecs[i][0]
		h.SetIovlen(len(r.vecs[i]))
		h.Control = &r.control[i][0]
	}
}

// offer lets message i be received into f.
func (r *rxRing) offer(i int, f *link.Frame) {
	room(f)
	r.vecs[i][1] = iovec(f.Head[:cap(f.Head)])
	r.msgs[i].Hdr.SetControllen(controlLen)
	r.msgs[i].Hdr.Flags = 0
}

// finish completes f from message i.
func (r *rxRing) finish(i int, f *link.Frame) verdict {
	m := &r.msgs[i]
	r.vecs[i][1] = unix.Iovec{} // no reference is kept
	n := int(m.Len) - vnetLen
	if n < ethernet.HeaderLen || m.Hdr.Flags&unix.MSG_TRUNC != 0 {
		return malformed
	}
	tag := tagOf(r.control[i][:m.Hdr.Controllen], f)
	settle(f, n, r.spill[i], tag)
	shift := 0
	if tag.TPID != 0 {
		shift = ethernet.TagLen
	}
	return parseVnet(&r.hdrs[i], f, shift)
}

// txRing is what sendmmsg sends.
type txRing struct {
	msgs [maxBatch]unix.Mmsghdr
	vecs [maxBatch][maxVector]unix.Iovec
	hdrs [maxBatch][vnetLen]byte
	flat [maxBatch][]byte
	used int
}

func (t *txRing) init() {
	for i := range t.msgs {
		t.vecs[i][0] = iovec(t.hdrs[i][:])
		t.msgs[i].Hdr.Iov = &t.vecs[i][0]
	}
}

// load makes f message i.
func (t *txRing) load(i int, f *link.Frame) {
	putVnet(&t.hdrs[i], f)
	n := gather(t.vecs[i][1:], f, &t.flat[i])
	t.msgs[i].Hdr.SetIovlen(1 + n)
	t.used = max(t.used, i+1)
}

// forget drops the references to the callers' slices.
func (t *txRing) forget() {
	for i := range t.vecs[:t.used] {
		clear(t.vecs[i][1:])
	}
	t.used = 0
}

const auxLen = int(unsafe.Sizeof(unix.TpacketAuxdata{}))

// auxTag reads a struct tpacket_auxdata.
func auxTag(data []byte) ethernet.Tag {
	a := (*unix.TpacketAuxdata)(unsafe.Pointer(&data[0]))
	if a.Status&unix.TP_STATUS_VLAN_VALID == 0 {
		return ethernet.Tag{}
	}
	tag := ethernet.Tag{TPID: ethernet.TypeVLAN, TCI: a.Vlan_tci}
	if a.Status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
		tag.TPID = ethernet.EtherType(a.Vlan_tpid)
	}
	return tag
}

// timespec reads the struct timespec of SO_TIMESTAMPNS.
func timespec(data []byte) time.Time {
	switch len(data) {
	case 16:
		return time.Unix(int64(binary.NativeEndian.Uint64(data)), int64(binary.NativeEndian.Uint64(data[8:])))
	case 8:
		return time.Unix(int64(binary.NativeEndian.Uint32(data)), int64(binary.NativeEndian.Uint32(data[4:])))
	}
	return time.Time{}
}

package qemu

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// From the kernel's include/uapi/linux/kvm.h.
const (
	kvmGetAPIVersion = 0xae00
	kvmCreateVM      = 0xae01
	kvmGetMmapSize   = 0xae04
	kvmCreateVCPU    = 0xae41
	kvmSetMemory     = 0x4020ae46
	kvmSetTSSAddr    = 0xae47
	kvmRun           = 0xae80
	kvmGetRegs       = 0x8090ae81
	kvmSetRegs       = 0x4090ae82
	kvmGetSregs      = 0x8138ae83
	kvmSetSregs      = 0x4138ae84

	kvmAPIVersion = 12

	exitHLT           = 5
	exitShutdown      = 8
	exitFailEntry     = 9
	exitInternalError = 17

	runImmediateExit = 1  // offset in the shared page, u8
	runExitReason    = 8  // u32
	runSuberror      = 32 // u32, of an internal error
)

type kvmMemory struct {
	slot, flags   uint32
	guest, size   uint64
	userspaceAddr uint64
}

type kvmRegs struct {
	rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp uint64
	r8, r9, r10, r11, r12, r13, r14, r15   uint64
	rip, rflags                            uint64
}

type kvmSegment struct {
	base                                                   uint64
	limit                                                  uint32
	selector                                               uint16
	typ, present, dpl, db, s, l, g, avl, unusable, padding uint8
}

type kvmTable struct {
	base  uint64
	limit uint16
	_     [3]uint16
}

type kvmSregs struct {
	cs, ds, es, fs, gs, ss, tr, ldt         kvmSegment
	gdt, idt                                kvmTable
	cr0, cr2, cr3, cr4, cr8, efer, apicBase uint64
	interrupts                              [4]uint64
}

// The trial guest: 1 MiB of memory, page tables for the first 2 MiB, and a loop
// in long mode that sums 1 to 7000 in three instructions a turn.
const (
	guestSize = 1 << 20
	guestPML4 = 0x1000
	guestPDPT = 0x2000
	guestPD   = 0x3000
	guestCode = 0x8000
	guestSum  = 7000 * 7001 / 2
)

var guestProgram = [...]byte{
	0x31, 0xc0, // xor eax, eax
	0xb9, 0x58, 0x1b, 0x00, 0x00, // mov ecx, 7000
	0x01, 0xc8, // add eax, ecx
	0xff, 0xc9, // dec ecx
	0x75, 0xfa, // jnz back to the add
	0xf4, // hlt
}

// tryKVM runs the trial guest. It gives up soon after ctx ends.
func tryKVM(ctx context.Context) trial {
	// KVM ties a virtual processor to a thread, and the kick below needs its id.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	g, err := newTrialGuest()
	if err != nil {
		return trial{err: err}
	}
	defer g.close()
	stop := g.kickWhenDone(ctx, unix.Gettid())
	defer stop()
	t := trial{}
	for i := range probeRuns {
		d, err := g.run()
		if err != nil {
			return trial{err: err}
		}
		if i == 0 || d < t.best {
			t.best = d
		}
	}
	return t
}

type trialGuest struct {
	kvm, vm, cpu int
	memory       []byte
	shared       []byte // struct kvm_run
	kicked       atomic.Bool
}

func ioctl(fd int, req, arg uintptr) (int, error) {
	r, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), req, arg)
	if errno != 0 {
		return -1, errno
	}
	return int(r), nil
}

func newTrialGuest() (g *trialGuest, err error) {
	g = &trialGuest{kvm: -1, vm: -1, cpu: -1}
	defer func() {
		if err != nil {
			g.close()
		}
	}()
	g.kvm, err = unix.Open("/dev/kvm", unix.O_RDWR|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return g, errors.New("/dev/kvm is missing (no virtualisation in this processor or machine, or the kvm module is not loaded)")
	case errors.Is(err, fs.ErrPermission):
		return g, errors.New("no permission for /dev/kvm (add yourself to its group: sudo usermod -aG kvm $USER, then log in again)")
	case err != nil:
		return g, os.NewSyscallError("open /dev/kvm", err)
	}
	if v, err := ioctl(g.kvm, kvmGetAPIVersion, 0); err != nil || v != kvmAPIVersion {
		return g, fmt.Errorf("/dev/kvm does not speak version %d of its interface", kvmAPIVersion)
	}
	if g.vm, err = ioctl(g.kvm, kvmCreateVM, 0); err != nil {
		return g, os.NewSyscallError("create VM", err)
	}
	// Intel processors without "unrestricted guest" want three pages for this;
	// others ignore it.
	if _, err = ioctl(g.vm, kvmSetTSSAddr, 0xfffbd000); err != nil {
		return g, os.NewSyscallError("set TSS address", err)
	}
	g.memory, err = unix.Mmap(-1, 0, guestSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return g, os.NewSyscallError("guest memory", err)
	}
	m := kvmMemory{size: guestSize, userspaceAddr: uint64(uintptr(unsafe.Pointer(&g.memory[0])))}
	if _, err = ioctl(g.vm, kvmSetMemory, uintptr(unsafe.Pointer(&m))); err != nil {
		return g, os.NewSyscallError("set guest memory", err)
	}
	if g.cpu, err = ioctl(g.vm, kvmCreateVCPU, 0); err != nil {
		return g, os.NewSyscallError("create virtual processor", err)
	}
	size, err := ioctl(g.kvm, kvmGetMmapSize, 0)
	if err != nil {
		return g, os.NewSyscallError("size of the shared page", err)
	}
	if size < runSuberror+4 {
		return g, fmt.Errorf("the shared page has only %d octets", size)
	}
	g.shared, err = unix.Mmap(g.cpu, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return g, os.NewSyscallError("map the shared page", err)
	}
	return g, g.enterLongMode()
}

// enterLongMode fills the guest's memory and sets the control registers.
func (g *trialGuest) enterLongMode() error {
	const presentWritable, large = 3, 1 << 7
	le := binary.LittleEndian
	le.PutUint64(g.memory[guestPML4:], guestPDPT|presentWritable)
	le.PutUint64(g.memory[guestPDPT:], guestPD|presentWritable)
	le.PutUint64(g.memory[guestPD:], presentWritable|large)
	copy(g.memory[guestCode:], guestProgram[:])

	var s kvmSregs
	if _, err := ioctl(g.cpu, kvmGetSregs, uintptr(unsafe.Pointer(&s))); err != nil {
		return os.NewSyscallError("get system registers", err)
	}
	const (
		cr0ProtectedPaged = 1<<0 | 1<<4 | 1<<31 // PE, ET, PG
		cr4PAE            = 1 << 5
		eferLong          = 1<<8 | 1<<10 // LME, LMA
	)
	s.cr0, s.cr3, s.cr4, s.efer = cr0ProtectedPaged, guestPML4, cr4PAE, eferLong
	s.cs = kvmSegment{limit: 0xffffffff, selector: 8, typ: 11, present: 1, s: 1, l: 1, g: 1}
	data := kvmSegment{limit: 0xffffffff, selector: 16, typ: 3, present: 1, db: 1, s: 1, g: 1}
	s.ds, s.es, s.fs, s.gs, s.ss = data, data, data, data, data
	if _, err := ioctl(g.cpu, kvmSetSregs, uintptr(unsafe.Pointer(&s))); err != nil {
		return os.NewSyscallError("set system registers", err)
	}
	return nil
}

// run runs the loop once and returns how long it took.
func (g *trialGuest) run() (time.Duration, error) {
	r := kvmRegs{rip: guestCode, rflags: 2}
	if _, err := ioctl(g.cpu, kvmSetRegs, uintptr(unsafe.Pointer(&r))); err != nil {
		return 0, os.NewSyscallError("set registers", err)
	}
	start := time.Now()
	for {
		_, err := ioctl(g.cpu, kvmRun, 0)
		if err == nil {
			break
		}
		// The runtime's own preemption signals interrupt it as well.
		if err != unix.EINTR && err != unix.EAGAIN {
			return 0, os.NewSyscallError("run", err)
		}
		if g.kicked.Load() {
			return 0, errors.New("the trial guest did not end in time")
		}
	}
	took := time.Since(start)
	if err := g.exit(); err != nil {
		return 0, err
	}
	if _, err := ioctl(g.cpu, kvmGetRegs, uintptr(unsafe.Pointer(&r))); err != nil {
		return 0, os.NewSyscallError("get registers", err)
	}
	if r.rax != guestSum {
		return 0, fmt.Errorf("the trial guest computed %d instead of %d", r.rax, guestSum)
	}
	return took, nil
}

// exit judges the reason for which the guest stopped.
func (g *trialGuest) exit() error {
	le := binary.LittleEndian
	switch reason := le.Uint32(g.shared[runExitReason:]); reason {
	case exitHLT:
		return nil
	case exitInternalError:
		return fmt.Errorf("/dev/kvm opens, but running a guest fails (internal error %d)", le.Uint32(g.shared[runSuberror:]))
	case exitShutdown, exitFailEntry:
		return fmt.Errorf("/dev/kvm opens, but the processor refuses to run a guest (exit reason %d)", reason)
	default:
		return fmt.Errorf("/dev/kvm opens, but a trial guest stopped for reason %d", reason)
	}
}

// kickWhenDone takes thread tid out of a run when ctx ends. The signal is the
// one that the Go runtime uses to preempt and handles without effect; it is
// repeated because it may come just before the run begins.
func (g *trialGuest) kickWhenDone(ctx context.Context, tid int) (stop func()) {
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-quit:
			return
		case <-ctx.Done():
		}
		g.kicked.Store(true)
		g.shared[runImmediateExit] = 1 // the kernel reads it as a run begins
		for {
			if err := unix.Tgkill(unix.Getpid(), tid, syscall.SIGURG); err != nil {
				return
			}
			select {
			case <-quit:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	return func() { close(quit); <-ended }
}

func (g *trialGuest) close() {
	// Nothing depends on whether giving these back succeeds.
	if g.shared != nil {
		unix.Munmap(g.shared)
	}
	for _, fd := range []int{g.cpu, g.vm, g.kvm} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	if g.memory != nil {
		unix.Munmap(g.memory)
	}
}

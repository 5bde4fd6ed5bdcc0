//go:build linux && (amd64 || arm64)

package vcstest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls that fail: those that have a path, and those that have a descriptor
// or the address of a mapping in front.
var (
	pathCalls = map[int]string{
		unix.SYS_OPENAT: "openat", unix.SYS_MKDIRAT: "mkdirat", unix.SYS_UNLINKAT: "unlinkat",
		unix.SYS_RENAMEAT: "renameat", unix.SYS_RENAMEAT2: "renameat2", unix.SYS_LINKAT: "linkat",
	}
	addressCalls = map[int]string{unix.SYS_MSYNC: "msync"}
	fileCalls    = map[int]string{
		unix.SYS_WRITE: "write", unix.SYS_PWRITE64: "pwrite64", unix.SYS_FSYNC: "fsync", unix.SYS_FDATASYNC: "fdatasync",
		unix.SYS_FTRUNCATE: "ftruncate", unix.SYS_FALLOCATE: "fallocate", unix.SYS_CLOSE: "close",
	}
)

// firstFile is a descriptor above those of the runtime, the test and the
// terminal. Calls on lower ones do not wait for the injector: the runtime makes
// some where nothing else may run.
const firstFile = 64

// injector lets calls of this process to the operating system fail. The kernel
// asks it about each (seccomp_unotify(2)), to the end of the process.
type injector struct {
	listener int
	under    string
	maps     *os.File // /proc/self/maps

	mu    sync.Mutex
	armed bool
	kind  faultKind
	at    int        // the call that fails, counted from 0
	n     int        // calls so far
	hit   []FileCall // that failed
	short map[int]bool
}

// newInjector begins to watch calls on files under a directory. The error wraps
// errors.ErrUnsupported where the kernel does not offer that.
func newInjector(under string) (*injector, error) {
	in := &injector{under: filepath.Clean(under), short: make(map[int]bool)}
	r, w, err := os.Pipe() // the poller has its descriptors from now on
	if err != nil {
		return nil, err
	}
	r.Close()
	w.Close()
	for {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		if fd >= firstFile-1 {
			break
		}
	}
	if in.maps, err = os.Open("/proc/self/maps"); err != nil {
		return nil, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("%w: no_new_privs: %w", errors.ErrUnsupported, err)
	}
	filter := in.filter()
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	flags := unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH | unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, uintptr(flags), uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(filter)
	if errno != 0 {
		return nil, fmt.Errorf("%w: seccomp: %w", errors.ErrUnsupported, errno)
	}
	in.listener = int(fd)
	go in.serve()
	return in, nil
}

// filter is a program for the kernel: which calls it asks about.
func (in *injector) filter() []unix.SockFilter {
	const number, first = 0, 16 // where seccomp_data has the call and its first argument
	const load, equal, atLeast, ret = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	f := []unix.SockFilter{{Code: load, K: number}}
	for _, calls := range []map[int]string{pathCalls, addressCalls} {
		for nr := range calls {
			f = append(f, unix.SockFilter{Code: equal, Jf: 1, K: uint32(nr)}, unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_USER_NOTIF})
		}
	}
	for nr := range fileCalls {
		f = append(f, unix.SockFilter{Code: equal, Jf: 3, K: uint32(nr)},
			unix.SockFilter{Code: load, K: first},
			unix.SockFilter{Code: atLeast, Jf: 1, K: firstFile},
			unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_USER_NOTIF},
			unix.SockFilter{Code: load, K: number})
	}
	// A jump over three of the four ends at the reload of the number.
	return append(f, unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW})
}

// notification and answer are struct seccomp_notif and seccomp_notif_resp.
type notification struct {
	id         uint64
	pid, flags uint32
	nr         int32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

type answer struct {
	id    uint64
	val   int64
	errno int32
	flags uint32
}

const goOn = 1 // SECCOMP_USER_NOTIF_FLAG_CONTINUE

// serve answers the kernel. It must make none of the calls that it watches.
func (in *injector) serve() {
	for {
		var n notification
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(in.listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&n)))
		if errno != 0 {
			continue // interrupted, or the caller was
		}
		a := in.decide(&n)
		a.id = n.id
		unix.Syscall(unix.SYS_IOCTL, uintptr(in.listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&a)))
	}
}

func (in *injector) decide(n *notification) answer {
	in.mu.Lock()
	defer in.mu.Unlock()
	call, fd, ok := in.call(n)
	if !in.armed || !ok {
		return answer{flags: goOn}
	}
	if in.short[fd] && (call.Name == "write" || call.Name == "pwrite64") {
		delete(in.short, fd) // the rest of a short write
		return answer{errno: -int32(unix.ENOSPC)}
	}
	call.Err = in.kind.errno
	k := in.n
	in.n++
	if k < in.at || k > in.at && !in.kind.lasting {
		return answer{flags: goOn}
	}
	write := call.Name == "write" || call.Name == "pwrite64"
	switch {
	case call.Reads && in.kind.errno == unix.ENOSPC: // a full disk can be read
		return answer{flags: goOn}
	case in.kind.short && (!write || n.args[2] < 2):
		return answer{flags: goOn}
	case in.kind.short:
		wrote, err := in.half(n, fd)
		if err != nil {
			return answer{flags: goOn}
		}
		in.short[fd] = true
		in.hit = append(in.hit, call)
		return answer{val: int64(wrote)}
	case call.Name == "close":
		unix.CloseRange(uint(fd), uint(fd), 0) // it fails and closes
	}
	in.hit = append(in.hit, call)
	return answer{errno: -int32(in.kind.errno)}
}

// call says what a call is about, when that lies under the directory.
func (in *injector) call(n *notification) (call FileCall, fd int, ok bool) {
	if n.pid != 0 && !in.own(n.pid) {
		return call, -1, false
	}
	nr := int(n.nr)
	if name, is := addressCalls[nr]; is {
		path := in.mapped(n.args[0])
		return FileCall{Name: name, Path: path}, -1, in.covers(path)
	}
	if name, is := pathCalls[nr]; is {
		path := in.text(n.pid, n.args[1])
		if _, err := os.Lstat(path); nr == unix.SYS_UNLINKAT && err != nil {
			return call, -1, false // there is nothing to remove
		}
		reads := nr == unix.SYS_OPENAT && n.args[2]&(unix.O_ACCMODE|unix.O_CREAT) == unix.O_RDONLY
		return FileCall{Name: name, Path: path, Reads: reads}, -1, in.covers(path)
	}
	fd = int(int32(n.args[0]))
	path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	reads := false
	if nr == unix.SYS_CLOSE {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		reads = err == nil && flags&unix.O_ACCMODE == unix.O_RDONLY
	}
	return FileCall{Name: fileCalls[nr], Path: path, Reads: reads}, fd, err == nil && in.covers(path)
}

// mapped returns the file that is mapped at an address.
func (in *injector) mapped(at uint64) string {
	lines := bufio.NewScanner(io.NewSectionReader(in.maps, 0, 1<<30))
	for lines.Scan() {
		var from, to uint64
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x", &from, &to); err == nil && from <= at && at < to {
			_, path, _ := strings.Cut(lines.Text(), "/")
			return "/" + path
		}
	}
	return ""
}

// own reports whether a thread is of this process.
func (in *injector) own(tid uint32) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", tid))
	return err == nil
}

func (in *injector) covers(path string) bool {
	return path == in.under || strings.HasPrefix(path, in.under+"/")
}

// text reads a path from a thread's memory.
func (in *injector) text(tid uint32, at uint64) string {
	buf := make([]byte, 4096)
	n := in.memory(tid, at, buf)
	s, _, _ := strings.Cut(string(buf[:n]), "\x00")
	return s
}

// memory copies from a thread's memory, as far as it goes.
func (in *injector) memory(tid uint32, at uint64, into []byte) int {
	done := 0
	for done < len(into) { // to the end of a page, because the next may not be there
		chunk := into[done:]
		if left := 4096 - int(at%4096); len(chunk) > left {
			chunk = chunk[:left]
		}
		local := []unix.Iovec{{Base: &chunk[0]}}
		local[0].SetLen(len(chunk))
		n, err := unix.ProcessVMReadv(int(tid), local, []unix.RemoteIovec{{Base: uintptr(at), Len: len(chunk)}}, 0)
		if err != nil || n == 0 {
			break
		}
		done, at = done+n, at+uint64(n)
	}
	return done
}

// half writes the first half of what a call wants to write, by calls that are
// not watched.
func (in *injector) half(n *notification, fd int) (int, error) {
	buf := make([]byte, n.args[2]/2)
	if in.memory(n.pid, n.args[1], buf) < len(buf) {
		return 0, syscall.EFAULT
	}
	if int(n.nr) == unix.SYS_WRITE {
		return unix.Writev(fd, [][]byte{buf})
	}
	return unix.Pwritev(fd, [][]byte{buf}, int64(n.args[3]))
}

// arm begins to count, and lets calls fail.
func (in *injector) arm(kind faultKind, at int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.armed, in.kind, in.at, in.n, in.hit = true, kind, at, 0, nil
	clear(in.short)
}

// disarm ends that, and returns how many calls there were and which failed.
func (in *injector) disarm() (calls int, hit []FileCall) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.armed = false
	return in.n, in.hit
}

package qemu

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// childAttributes puts QEMU into a process group of its own, away from the
// terminal's Ctrl-C, and makes it die with the thread that started it.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// lockHolder names the program that holds a lock on f: the kernel lists locks
// by inode in /proc/locks.
func lockHolder(f *os.File) string {
	const nobody = "another program"
	var st unix.Stat_t
	if unix.Fstat(int(f.Fd()), &st) != nil {
		return nobody
	}
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return nobody
	}
	where := fmt.Sprintf("%02x:%02x:%d", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)
	for line := range strings.Lines(string(locks)) {
		// 1: FLOCK ADVISORY WRITE 1234 fd:00:5678 0 EOF
		w := strings.Fields(line)
		if len(w) < 6 || w[1] != "FLOCK" || w[5] != where {
			continue
		}
		name, err := os.ReadFile("/proc/" + w[4] + "/comm")
		if err != nil {
			return "process " + w[4]
		}
		return fmt.Sprintf("%s (process %s)", bytes.TrimSpace(name), w[4])
	}
	return nobody
}

// availableMemory returns the host's available memory in MiB.
func availableMemory() (int, bool) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "MemAvailable:"); ok {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			return kib >> 10, err == nil
		}
	}
	return 0, false
}

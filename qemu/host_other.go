//go:build !linux

package qemu

import (
	"os"
	"syscall"
)

// childAttributes puts QEMU into a process group of its own. This system
// cannot tie its life to ours; Machine.Stop ends it.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// lockHolder cannot be found out here.
func lockHolder(*os.File) string { return "another program" }

// availableMemory is not known here.
func availableMemory() (int, bool) { return 0, false }

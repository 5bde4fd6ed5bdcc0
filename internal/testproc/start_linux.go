package testproc

import (
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
)

// starter runs functions on a thread that lives as long as the process: to the
// kernel that thread is the parent of what it starts.
var starter = sync.OnceValue(func() chan<- func() {
	c := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range c {
			f()
		}
	}()
	return c
})

// Start starts cmd, which gets SIGKILL when this process ends. A program that
// changes its user, or is set-user-ID, loses that: use Guarded.
func Start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	done := make(chan error)
	starter() <- func() { done <- cmd.Start() }
	return <-done
}

// Guarded starts cmd and a shell that kills it when this process ends. stop kills
// cmd, if that still runs, and sends the shell away first: call it before Wait, or
// as soon as cmd has ended by itself.
func Guarded(cmd *exec.Cmd) (stop func(), err error) {
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	guard := exec.Command("sh", "-c", "cat >/dev/null; kill -KILL "+strconv.Itoa(cmd.Process.Pid))
	guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // not for a terminal's Ctrl-C
	var pipe io.WriteCloser
	if pipe, err = guard.StdinPipe(); err == nil {
		err = guard.Start()
	}
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, fmt.Errorf("testproc: the guard of %s: %w", cmd.Path, err)
	}
	return sync.OnceFunc(func() {
		_ = guard.Process.Kill()
		_ = guard.Wait()
		_ = pipe.Close()
		_ = cmd.Process.Kill()
	}), nil
}

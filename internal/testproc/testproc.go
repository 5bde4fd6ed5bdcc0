// Package testproc starts processes for tests. They end with the test's process,
// however that ends: by a signal, by a panic, by the limit of go test.
package testproc

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// parentEnv says which process one that is not started by this package ends with.
const parentEnv = "TESTPROC_PARENT"

// Env is for the environment of a test's program that others start, such as those
// that scripts run in the background: it says what EndWithParent waits for.
func Env() (name, value string) { return parentEnv, strconv.Itoa(os.Getpid()) }

// EndWithParent makes this process end soon after the one that made Env. Without
// that it does nothing.
func EndWithParent() {
	value, ok := os.LookupEnv(parentEnv)
	if !ok {
		return
	}
	parent, err := strconv.Atoi(value)
	if err != nil {
		panic(fmt.Sprintf("testproc: %s=%s", parentEnv, value))
	}
	go func() {
		for syscall.Kill(parent, 0) != syscall.ESRCH { // who has changed its user is told EPERM
			time.Sleep(100 * time.Millisecond)
		}
		os.Exit(1)
	}()
}

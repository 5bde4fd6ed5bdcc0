package main

import (
	"os"
	"os/signal"
	"slices"
	"syscall"
	"testing"
)

// The end of the terminal stops the program in order, except under nohup.
func TestStopSignals(t *testing.T) {
	defer signal.Reset(syscall.SIGHUP)
	for _, nohup := range []bool{false, true} {
		signal.Reset(syscall.SIGHUP)
		if nohup {
			signal.Ignore(syscall.SIGHUP)
		}
		if got := stopSignals(); slices.Contains(got, os.Signal(syscall.SIGHUP)) == nohup {
			t.Errorf("nohup %v: %v", nohup, got)
		}
	}
}

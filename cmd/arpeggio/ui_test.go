package main

import (
	"os"
	"os/signal"
	"slices"
	"syscall"
	"testing"
	"time"
)

// A signal that comes twice at once, as timeout and some shells send it, stops
// the program in order; one that comes later is a person who is impatient.
func TestSecondInterrupt(t *testing.T) {
	first := make(chan os.Signal, 8)
	signal.Notify(first, syscall.SIGTERM) // as run does, so that this test survives
	defer signal.Stop(first)
	ctx, cancel := onSecondInterrupt(t.Context())
	defer cancel()
	syscall.Kill(os.Getpid(), syscall.SIGTERM)
	<-first
	select {
	case <-ctx.Done():
		t.Fatal("an echo of the first signal ended the orderly stop")
	case <-time.After(impatience + 200*time.Millisecond):
	}
	// On a busy machine the first one may have been noticed late, and the second
	// be taken for its echo: an impatient person presses again.
	for end := time.Now().Add(testLimit); ctx.Err() == nil; {
		if time.Now().After(end) {
			t.Fatal("a second signal changes nothing")
		}
		syscall.Kill(os.Getpid(), syscall.SIGTERM)
		select {
		case <-ctx.Done():
		case <-time.After(impatience / 2):
		}
	}
}

// The end of the terminal stops the program in order, except under nohup.
func TestStopSignals(t *testing.T) {
	defer signal.Reset(syscall.SIGHUP)
	for _, nohup := range []bool{false, true} {
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP) // not ignored, even when the tests run under nohup
		if nohup {
			signal.Ignore(syscall.SIGHUP)
		}
		if got := stopSignals(false); slices.Contains(got, os.Signal(syscall.SIGHUP)) == nohup {
			t.Errorf("nohup %v: %v", nohup, got)
		}
	}
}

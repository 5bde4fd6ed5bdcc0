package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// note tells the person at the terminal what is going on, on standard error.
func note(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "arpeggio: "+format+"\n", args...)
}

// onSecondInterrupt returns a context that ends at the next Ctrl-C, for work
// that began with the first one.
func onSecondInterrupt(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, stopSignals()...)
}

// stopSignals are those that end the program in order: Ctrl-C, kill, and the end
// of the terminal, unless nohup asked to survive that.
func stopSignals() []os.Signal {
	s := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		s = append(s, syscall.SIGHUP)
	}
	return s
}

package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// note tells the person at the terminal what is going on, on standard error.
func note(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "arpeggio: "+format+"\n", args...)
}

// count writes a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// impatience is how long after the first Ctrl-C a second one is heard. One that
// comes earlier is an echo: timeout and shells signal both a program and its
// group.
const impatience = time.Second

// onSecondInterrupt returns a context that ends at the next Ctrl-C, for work
// that began with the first one.
func onSecondInterrupt(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-time.After(impatience):
		case <-ctx.Done():
			return
		}
		c := make(chan os.Signal, 1)
		signal.Notify(c, os.Interrupt, syscall.SIGTERM)
		defer signal.Stop(c)
		select {
		case <-c:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// surviveClosedOutput lets the program go on when whoever read its output has
// gone, as head does: a machine is not to lose power for that.
func surviveClosedOutput() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
}

// stopSignals are those that end the program in order: Ctrl-C, kill, and the end
// of the terminal, unless nohup or the command asked to survive that.
func stopSignals(outlivesHangup bool) []os.Signal {
	s := []os.Signal{os.Interrupt, syscall.SIGTERM}
	switch {
	case outlivesHangup:
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	case !signal.Ignored(syscall.SIGHUP):
		s = append(s, syscall.SIGHUP)
	}
	return s
}

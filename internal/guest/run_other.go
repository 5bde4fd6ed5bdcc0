//go:build !linux

package guest

import (
	"context"
	"errors"
	"time"
)

// IsInit reports whether this process is the first of a Linux machine.
func IsInit() bool { return false }

// Run needs Linux.
func Run(Config, func(context.Context, Env) error) error {
	return errors.New("guest: the first process of a machine runs on Linux only")
}

// AdjustClock needs Linux.
func AdjustClock(time.Duration) error {
	return errors.New("guest: the clock can be set on Linux only")
}

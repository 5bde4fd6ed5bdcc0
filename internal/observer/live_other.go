//go:build !linux

package observer

import (
	"context"
	"errors"
)

// LiveConfig says how interfaces are opened.
type LiveConfig struct {
	Interfaces  []string
	Promiscuous bool
	Buffer      int
	Note        func(string)
}

// Live reads interfaces; it exists on Linux only.
type Live struct{}

var errNotHere = errors.New("interfaces can be watched on Linux only; record them with tcpdump -w FILE and read that")

// OpenLive returns an error.
func OpenLive(LiveConfig) (*Live, error) { return nil, errNotHere }

// DropPrivileges returns an error.
func DropPrivileges(uid, gid int) error { return errNotHere }

// Close does nothing.
func (*Live) Close() error { return nil }

// Lost returns 0.
func (*Live) Lost() uint64 { return 0 }

// Watch returns an error.
func (*Live) Watch(context.Context, *Observer) error { return errNotHere }

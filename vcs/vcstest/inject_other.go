//go:build !linux || !(amd64 || arm64)

package vcstest

import "errors"

// injector is for Linux only.
type injector struct{}

func newInjector(string) (*injector, error) { return nil, errors.ErrUnsupported }

func (*injector) arm(faultKind, int) {}

func (*injector) disarm() (int, []FileCall) { return 0, nil }

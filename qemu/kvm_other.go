//go:build !linux || !amd64

package qemu

import (
	"context"
	"fmt"
	"runtime"
)

// tryKVM says that there is no KVM for x86-64 guests here.
func tryKVM(context.Context) trial {
	return trial{err: fmt.Errorf("it needs Linux on amd64, this is %s on %s", runtime.GOOS, runtime.GOARCH)}
}

//go:build !linux

package bench

import (
	"context"
	"errors"
)

func goodput(_ context.Context, b *board) {
	b.section("TCP through a relay")
	b.fail("goodput", errors.New("the kernel to compare with is Linux"))
}

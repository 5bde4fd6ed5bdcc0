//go:build !linux

package bench

import (
	"context"
	"errors"
	"time"
)

func (o *observers) burst(context.Context) (lost int, took time.Duration, err error) {
	return 0, 0, errors.New("interfaces can be watched on Linux only")
}

package appliance

import (
	"time"

	"arpeggio/stack/link"
)

// watched is a device that tells when it ends: the stack takes its interface out
// of service then, and would leave an appliance that serves nobody.
type watched struct {
	link.Device
	ended func(error) // may be called more than once
}

// ReadFrames implements link.Device.
func (w *watched) ReadFrames(fs []link.Frame) (int, error) {
	n, err := w.Device.ReadFrames(fs)
	if err != nil {
		w.ended(err)
	}
	return n, err
}

// Wait implements link.Device.
func (w *watched) Wait(deadline time.Time) error {
	err := w.Device.Wait(deadline)
	if err != nil {
		w.ended(err)
	}
	return err
}

package vcs

import "context"

// turn is a lock for which somebody waits no longer than a context lasts.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

// take locks it. When it is free there is no error.
func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	default:
	}
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// give unlocks it.
func (t turn) give() { <-t }

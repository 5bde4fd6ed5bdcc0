package packfile

import "arpeggio/vcs"

// Has reports whether a commit is in the chain. The error wraps ErrGraph, or is a
// reader's.
func (c *GraphChain) Has(id vcs.ID) (bool, error) {
	_, ok, err := c.find(id)
	return ok, err
}

//go:build !linux

package testproc

import "os/exec"

// Start starts cmd. Where the system cannot end it with this process it lives on
// when this one is killed.
func Start(cmd *exec.Cmd) error { return cmd.Start() }

package tuntap

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// CreatePersistent makes a TAP that stays until Remove or a reboot and that the
// user uid may open without privilege, as QEMU's tap backend does; a negative
// uid names no owner. It is left down. The name must be free.
func CreatePersistent(name string, uid int) error {
	if err := checkName(name); err != nil {
		return err
	}
	if exists(name) {
		return fmt.Errorf("%w: %s exists already; `ip link delete %s` removes it", ErrBusy, name, name)
	}
	fd, _, err := openPlain(name, true)
	if err != nil {
		return explain(name, err)
	}
	defer unix.Close(fd)
	// water would set a group too, and then a user outside it is refused.
	if uid >= 0 {
		if err := unix.IoctlSetInt(fd, unix.TUNSETOWNER, uid); err != nil {
			unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 0)
			return fmt.Errorf("tuntap: giving %s to user %d: %w", name, uid, err)
		}
	}
	return nil
}

// Remove removes a TAP that CreatePersistent or `ip tuntap add` made. It
// refuses one that a program holds open.
func Remove(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if !exists(name) {
		return fmt.Errorf("%w: %s", ErrNoInterface, name)
	}
	fd, _, err := openPlain(name, false)
	if err != nil {
		return explain(name, err)
	}
	return unix.Close(fd)
}

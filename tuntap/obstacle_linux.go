package tuntap

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Obstacle says, in words that follow the interface's name, why frames do not pass it
// at present: it is down, it has no carrier, or it is a port of a bridge whose spanning
// tree does not forward yet. It is empty when nothing is known to be in the way. The
// calling thread, and the /sys it sees, are of the interface's network namespace. It is
// safe for concurrent use.
func (t *TAP) Obstacle() string {
	n, err := openNetif(t.info.Name)
	if err != nil {
		return ""
	}
	defer n.close()
	r, err := n.call(unix.SIOCGIFFLAGS, nil)
	switch {
	case err != nil:
		return ""
	case r.Uint16()&unix.IFF_UP == 0:
		return "is down"
	case r.Uint16()&unix.IFF_RUNNING == 0:
		return "has no carrier"
	}
	return bridgeObstacle(filepath.Join("/sys/class/net", t.info.Name, "brport"))
}

// bridgeObstacle reads the state of a bridge's port (IEEE 802.1D §8.4). There is no
// such folder for other interfaces.
func bridgeObstacle(dir string) string {
	state, err := os.ReadFile(filepath.Join(dir, "state"))
	if err != nil {
		return ""
	}
	name := "its bridge"
	if to, err := os.Readlink(filepath.Join(dir, "bridge")); err == nil {
		name = "the bridge " + filepath.Base(to)
	}
	names := map[string]string{"0": "disabled", "1": "listening", "2": "learning", "4": "blocking"}
	if s := names[strings.TrimSpace(string(state))]; s != "" {
		return "is a port of " + name + " that does not forward yet (" + s + ")"
	}
	return ""
}

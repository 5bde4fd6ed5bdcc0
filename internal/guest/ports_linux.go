package guest

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"arpeggio/internal/control"
)

// portPatience is how long the host's virtio-serial ports may take to appear
// after their controller.
const portPatience = 2 * time.Second

// openPorts opens the ports to the host by name. Both are nil on a machine
// without them.
func openPorts() (ctrl, export io.ReadWriteCloser, err error) {
	controllers, _ := filepath.Glob("/sys/bus/virtio/drivers/virtio_console/virtio*")
	if len(controllers) == 0 {
		return nil, nil, nil
	}
	for end := time.Now().Add(portPatience); ; time.Sleep(10 * time.Millisecond) {
		ports := portNames()
		dev, ok := ports[control.PortControl]
		if !ok && time.Now().Before(end) {
			continue
		}
		if !ok {
			return nil, nil, nil
		}
		if ctrl, err = os.OpenFile(dev, os.O_RDWR, 0); err != nil {
			return nil, nil, err
		}
		if dev, ok = ports[control.PortExport]; ok {
			if export, err = os.OpenFile(dev, os.O_RDWR, 0); err != nil {
				return nil, nil, err
			}
		}
		return ctrl, export, nil
	}
}

// portNames maps the names that the host gave its ports to device files.
func portNames() map[string]string {
	out := map[string]string{}
	files, _ := filepath.Glob("/sys/class/virtio-ports/*/name")
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil {
			out[strings.TrimSpace(string(b))] = "/dev/" + filepath.Base(filepath.Dir(f))
		}
	}
	return out
}

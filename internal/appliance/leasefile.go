package appliance

import (
	"encoding/json"
	"os"

	"arpeggio/stack/host"
)

// savedLease reads the lease that an appliance had when it ended without giving it
// back. Whatever is wrong with the file, there is then none: it only saves time.
func (a *Appliance) savedLease() (l host.Lease) {
	if a.cfg.LeaseFile == "" {
		return l
	}
	b, err := os.ReadFile(a.cfg.LeaseFile)
	if err == nil {
		err = json.Unmarshal(b, &l)
	}
	if err != nil {
		if !os.IsNotExist(err) {
			a.log.Warn("the lease of the last run cannot be read", "err", err)
		}
		return host.Lease{}
	}
	return l
}

// saveLease keeps l for savedLease, and nothing once there is no lease.
func (a *Appliance) saveLease(l host.Lease) {
	if a.cfg.LeaseFile == "" {
		return
	}
	if l.IsZero() || l.LinkLocal() {
		_ = os.Remove(a.cfg.LeaseFile) // it may not be there
		return
	}
	b, err := json.Marshal(l)
	if err == nil {
		// A file that a power cut tears is as none.
		err = os.WriteFile(a.cfg.LeaseFile, b, 0o600)
	}
	if err != nil {
		a.log.Warn("the lease cannot be kept for the next run", "err", err)
	}
}

package vcs_test

import (
	"fmt"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// The root of an epoch says every file again, and each tells its own time: what
// they have in common is said once.
func TestStatesAreToldBriefly(t *testing.T) {
	for name, form := range map[string]string{
		"seconds": "state reachable\nmac 02:00:00:00:%02x:%02x\nexpires %[3]d\nlearned %[4]d reply eth0\n",
		"dates":   "state reachable\nmac 02:00:00:00:%02x:%02x\nexpires %[5]s\nlearned %[6]s reply eth0\n",
	} {
		t.Run(name, func(t *testing.T) {
			const files = 2000
			r := openOn(t, mem.New(), vcs.Config[string, string]{})
			at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
			for i := range files {
				at = at.Add(time.Duration(i*7919%40) * time.Second)
				later := at.Add(20 * time.Minute)
				value := fmt.Sprintf(form, i>>8, i&255, later.Unix(), at.Unix(), later.Format(time.RFC3339), at.Format(time.RFC3339))
				if _, err := r.Set(t.Context(), "primary", fmt.Sprintf("10.0.%d/%d", i>>8, i&255), value, vcs.CommitInfo{Message: "m", Time: at}); err != nil {
					t.Fatal(err)
				}
			}
			e, err := r.Store().EndEpoch(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if e.LogBytes > 40*files {
				t.Errorf("the roots of an epoch take %d bytes, %d a file", e.LogBytes, e.LogBytes/files)
			}
			t.Logf("%d bytes, %d a file", e.LogBytes, e.LogBytes/files)
		})
	}
}

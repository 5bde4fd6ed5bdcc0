package appliance

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/internal/lan"
	"arpeggio/stack/ethernet"
)

// A day on the LAN costs the appliance what it writes down and nothing else:
// as many goroutines as after two hours, no memory beyond the commits that the
// memory backend keeps, every commit made, every address still answered for.
func TestDayOnTheLAN(t *testing.T) {
	const (
		stations  = 2            // keep the test short
		perCommit = 6 << 10      // octets: commit, changed trees, entry
		slack     = 2 << 20      // of the garbage collector's and of buffers
		crowd     = 4 * stations // goroutines of visits that happen to run
	)
	type size struct {
		heap       uint64
		goroutines int
		commits    uint64
	}
	synctest.Test(t, func(t *testing.T) {
		mac := ethernet.Addr{0x02, 0x50, 0, 0, 0, 2}
		l, err := lan.Start(lan.Config{Seed: 24, GuestMAC: mac, Stations: stations})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		port, err := l.Port("guest", mac)
		if err != nil {
			t.Fatal(err)
		}
		a, err := Start(t.Context(), Config{Device: port, MAC: mac, Expire: time.Minute, Manage: 8081})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close(t.Context())
		l.Populate()
		measure := func() size {
			synctest.Wait()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			s := a.table.Stats()
			return size{m.HeapAlloc, runtime.NumGoroutine(), s.Commits + s.Merges}
		}
		time.Sleep(2 * time.Hour)
		early := measure()
		time.Sleep(22 * time.Hour)
		late := measure()
		commits := late.commits - early.commits
		t.Logf("after 2 h: %+v; after 24 h: %+v", early, late)
		if commits < 100 {
			t.Errorf("%d commits in 22 h: nobody lived", commits)
		}
		if late.goroutines > early.goroutines+crowd {
			t.Errorf("%d goroutines after 2 h, %d after 24 h", early.goroutines, late.goroutines)
		}
		if late.heap > early.heap+slack+perCommit*commits {
			t.Errorf("heap of %d KiB after 2 h, %d KiB after 24 h and %d commits", early.heap>>10, late.heap>>10, commits)
		}
		if s := a.table.Stats(); s.Failed > 0 || s.Damaged > 0 || a.health() != nil {
			t.Errorf("%+v, health: %v", s, a.health())
		}
		if n := len(a.node.ARP.Neighbors()); n < 1 || n > stations+1 {
			t.Errorf("%d neighbours", n)
		}
		if as := a.Addresses(); len(as) != 1 || as[0].Addr() != l.Guest() {
			t.Errorf("addresses %v after a day of renewals", as)
		}
	})
}

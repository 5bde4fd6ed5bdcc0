package socketagent

import (
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
)

// Some clients close descriptors, one by one or all at once, while calls of others
// end the connections behind them: for the race detector.
func TestCloseWhileConnectFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := newAgent(t)
		nobody := appendAddr(nil, netip.AddrPortFrom(ourAddr, 7000))
		for round := range 20 {
			var calls sync.WaitGroup
			for range 100 {
				fd := a.socket(syscall.AF_INET, syscall.SOCK_STREAM, 0).result
				calls.Go(func() {
					if r := a.connect(fd, nobody, nil); r.err == nil {
						t.Error("connected to nobody")
					}
				})
				if round%2 == 0 {
					calls.Go(func() { a.close(fd) })
				}
			}
			if round%2 == 1 {
				calls.Go(a.reset)
			}
			calls.Wait()
		}
		a.reset()
		if c := a.stack.Conns(); len(c) > 0 {
			t.Errorf("left: %v", c)
		}
	})
}

package node

import (
	"math"
	"testing"

	"arpeggio/stack"
)

// All connections together fit the memory limit, with as much to spare.
func TestConnectionsFitTheMemoryLimit(t *testing.T) {
	for _, limit := range []int64{64 << 20, 192 << 20, 1 << 30} {
		cfg := bounded(stack.Config{}, limit)
		if need := int64(cfg.TCPMemory) + int64(cfg.MaxConns)*perConn; need > limit/2 || cfg.MaxConns < 500 {
			t.Errorf("limit %d: %d connections and %d octets of queues need %d", limit, cfg.MaxConns, cfg.TCPMemory, need)
		}
	}
	if cfg := bounded(stack.Config{}, math.MaxInt64); cfg.TCPMemory != stack.DefaultTCPMemory || cfg.MaxConns != stack.DefaultMaxConns {
		t.Errorf("without a limit: %+v", cfg)
	}
	if cfg := bounded(stack.Config{MaxConns: 100}, 1<<30); cfg.MaxConns != 100 {
		t.Errorf("%d connections, want the 100 that were asked for", cfg.MaxConns)
	}
}

package tuntap

import (
	"os"
	"path/filepath"
	"testing"
)

// A port of a bridge says what its spanning tree has it do (IEEE 802.1D §8.4).
func TestBridgeObstacle(t *testing.T) {
	for state, want := range map[string]string{
		"0\n": "is a port of the bridge br7 that does not forward yet (disabled)",
		"1\n": "is a port of the bridge br7 that does not forward yet (listening)",
		"2\n": "is a port of the bridge br7 that does not forward yet (learning)",
		"3\n": "", // it forwards
		"4\n": "is a port of the bridge br7 that does not forward yet (blocking)",
		"9\n": "",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "state"), []byte(state), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("../../br7", filepath.Join(dir, "bridge")); err != nil {
			t.Fatal(err)
		}
		if got := bridgeObstacle(dir); got != want {
			t.Errorf("state %q: %q, want %q", state, got, want)
		}
	}
	if got := bridgeObstacle(filepath.Join(t.TempDir(), "brport")); got != "" {
		t.Errorf("no port of a bridge: %q", got)
	}
}

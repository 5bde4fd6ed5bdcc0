//go:build linux

package stack_test

import (
	"strings"
	"testing"
)

// What the kernel's ping makes of our answers to requests with options.
func TestKernelPingOptions(t *testing.T) {
	needTools(t, "ping")
	_, ns, _ := onTAP(t, false, false)
	for _, args := range [][]string{{"-R"}, {"-T", "tsonly"}, {"-T", "tsandaddr"}} {
		out := in(t, ns, append([]string{"ping", "-c", "1", "-W", "5", "10.9.0.2"}, args...)...)
		if !strings.Contains(out, " 0% packet loss") || args[0] == "-R" && strings.Count(out, "10.9.0.2\n") < 1 {
			t.Errorf("%v:\n%s", args, out)
		}
		if args[len(args)-1] == "tsandaddr" && !strings.Contains(out, "10.9.0.2\t") {
			t.Errorf("%v: we are not in the list\n%s", args, out)
		}
	}
}

package bench

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// Machine says in a few lines what a run ran on, and how busy that was already.
func Machine() string {
	git := "no git"
	if out, err := exec.Command("git", "version").Output(); err == nil {
		git = strings.TrimSpace(string(out))
	}
	load := ""
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		if f := strings.Fields(string(b)); len(f) > 3 {
			load = ", load " + strings.Join(f[:3], " ")
		}
	}
	return fmt.Sprintf("%s, %d processors%s\n%s %s/%s, %s\n",
		processor(), runtime.GOMAXPROCS(0), load, runtime.Version(), runtime.GOOS, runtime.GOARCH, git)
}

// processor names the processor, where the system says so.
func processor() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if key, val, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(val)
		}
	}
	return "unknown processor"
}

package stack_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every case of the list and every defect has a counterpart that exists.
func TestEveryCaseHasACounterpart(t *testing.T) {
	names := map[string]bool{}
	test := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	for _, dir := range []string{".", "tcp", "ipv4", "icmp", "udp"} {
		files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d test files, %v", dir, len(files), err)
		}
		pkg := strings.Replace(dir, ".", "stack", 1)
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range test.FindAllSubmatch(b, -1) {
				names[pkg+"."+string(m[1])] = true
			}
		}
	}
	b, err := os.ReadFile("../docs/tcpip-tests.md")
	if err != nil {
		t.Fatal(err)
	}
	for heading, want := range map[string]int{"Packets": 45, "Connections": 38, "Defects": 32} {
		_, section, ok := strings.Cut(string(b), "\n## "+heading)
		if !ok {
			t.Errorf("no section %q", heading)
			continue
		}
		section, _, _ = strings.Cut(section, "\n## ")
		n := 0
		for line := range strings.Lines(section) {
			cells := strings.Split(strings.Trim(strings.TrimSpace(line), "| "), " | ")
			if len(cells) != 2 || cells[0] == "case" || cells[0] == "defect or limit" {
				continue
			}
			n++
			for _, name := range strings.Split(cells[1], ", ") {
				if !names[name] {
					t.Errorf("%s: there is no test %q", cells[0], name)
				}
			}
		}
		if n != want {
			t.Errorf("%s: %d cases, want %d", heading, n, want)
		}
	}
}

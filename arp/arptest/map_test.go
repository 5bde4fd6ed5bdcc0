package arptest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// counterparts returns the names of all tests that docs/arp-tests.md may name.
func counterparts(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	test := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	for pkg, dir := range map[string]string{"arp": "..", "versioned": "../versioned"} {
		files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d test files, %v", dir, len(files), err)
		}
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
	for _, l := range resolverLists() {
		for _, c := range l.cases {
			names["arptest.TestResolver/"+l.name+"/"+c.name] = true
		}
	}
	for _, c := range tableCases() {
		names["arptest.TestTable/"+c.name] = true
	}
	return names
}

// Every case of the three lists and every defect has a counterpart that exists.
// A case that ran twice counts twice.
func TestEveryCaseHasACounterpart(t *testing.T) {
	b, err := os.ReadFile("../../docs/arp-tests.md")
	if err != nil {
		t.Fatal(err)
	}
	names := counterparts(t)
	for _, l := range []struct {
		heading string
		cases   int
	}{
		{"irmin-arp", 26}, {"irmin-network-datastores", 27}, {"mirage/arp", 52}, {"Defects", 19},
	} {
		_, section, ok := strings.Cut(string(b), "\n## "+l.heading)
		if !ok {
			t.Errorf("no section %q", l.heading)
			continue
		}
		section, _, _ = strings.Cut(section, "\n## ")
		n := 0
		for line := range strings.Lines(section) {
			cells := strings.Split(strings.TrimSpace(line), " | ")
			if len(cells) != 2 || cells[0] == "| case" || strings.HasPrefix(cells[0], "| defect") || strings.HasPrefix(line, "|--") {
				continue
			}
			n++
			if strings.HasSuffix(cells[0], "×2") {
				n++
			}
			for _, name := range strings.Split(strings.TrimSuffix(cells[1], " |"), ", ") {
				if !names[name] {
					t.Errorf("%s: there is no test %q", strings.TrimPrefix(cells[0], "| "), name)
				}
			}
		}
		if n != l.cases {
			t.Errorf("%s: %d cases, want %d", l.heading, n, l.cases)
		}
	}
}

// Command testsummary reads `go test -json` on standard input and prints what a
// person wants to see of it: a line a package, the whole output of what failed,
// every skip with its reason, and a closing count. It exits 1 when something
// failed, and, with -expected, when a test was skipped that the file does not
// list.
//
//	go test -json ./... | go run ./internal/testsummary -expected .ci/expected-skips
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
)

// event is one line of `go test -json` (see `go doc test2json`).
type event struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64
}

type summary struct {
	out                     io.Writer
	passed, failed, skipped int
	outputs                 map[string]*strings.Builder // by package and test
	skips                   map[string]string           // test → reason
}

func main() {
	expected := flag.String("expected", "", "fail on a skip that this `file` does not list (TEST<space>REASON a line, # comments)")
	flag.Parse()
	allowed, err := readExpected(*expected)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testsummary:", err)
		os.Exit(2)
	}
	s := &summary{out: os.Stdout, outputs: map[string]*strings.Builder{}, skips: map[string]string{}}
	if err := s.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "testsummary:", err)
		os.Exit(2)
	}
	unexpected := s.reportSkips(allowed)
	fmt.Printf("%d passed, %d failed, %d skipped\n", s.passed, s.failed, s.skipped)
	if s.failed > 0 || (*expected != "" && unexpected > 0) || s.passed == 0 {
		os.Exit(1)
	}
}

// readExpected returns the tests whose skip is allowed; path may be empty.
func readExpected(path string) (map[string]bool, error) {
	allowed := map[string]bool{}
	if path == "" {
		return allowed, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for _, line := range strings.Split(string(b), "\n") {
		if name, reason, _ := strings.Cut(strings.TrimSpace(line), " "); name != "" && name[0] != '#' {
			if reason == "" {
				return nil, fmt.Errorf("%s: %s is listed without a reason", path, name)
			}
			allowed[name] = true
		}
	}
	return allowed, nil
}

func (s *summary) read(r io.Reader) error {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 16<<20)
	for sc.Scan() {
		var e event
		if json.Unmarshal(sc.Bytes(), &e) != nil {
			fmt.Fprintln(s.out, sc.Text()) // not from a test: show it
			continue
		}
		s.handle(e)
	}
	return sc.Err()
}

func (s *summary) handle(e event) {
	if e.Package == "" {
		e.Package = e.ImportPath // build output names only this
	}
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output", "build-output":
		b := s.outputs[key]
		if b == nil {
			b = &strings.Builder{}
			s.outputs[key] = b
		}
		b.WriteString(e.Output)
		return
	case "build-fail":
		fmt.Fprintf(s.out, "--- %s does not build\n%s", e.Package, s.outputs[key])
		return
	}
	if e.Test == "" {
		s.handlePackage(e, key)
		return
	}
	switch e.Action {
	case "pass":
		s.passed++
	case "fail":
		s.failed++
		fmt.Fprintf(s.out, "--- FAIL %s %s (%.1fs)\n%s", e.Package, e.Test, e.Elapsed, s.outputs[key])
	case "skip":
		s.skipped++
		s.skips[strings.TrimPrefix(e.Package, "arpeggio/")+"."+e.Test] = reason(s.outputs[key].String())
	default:
		return
	}
	delete(s.outputs, key)
}

func (s *summary) handlePackage(e event, key string) {
	switch e.Action {
	case "pass":
		fmt.Fprintf(s.out, "ok    %-34s %6.1fs\n", e.Package, e.Elapsed)
	case "fail":
		fmt.Fprintf(s.out, "FAIL  %-34s %6.1fs\n", e.Package, e.Elapsed)
		if b := s.outputs[key]; b != nil {
			fmt.Fprint(s.out, b)
		}
		for k, b := range s.outputs { // a test that was cut off by a panic or a time-out
			if strings.HasPrefix(k, e.Package+" ") && k != key && b.Len() > 0 {
				fmt.Fprintf(s.out, "--- unfinished: %s\n%s", k, b)
			}
		}
		s.failed++
	}
}

// reason finds the words of t.Skip in a test's output.
func reason(output string) string {
	for _, line := range strings.Split(output, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ") {
			continue
		}
		if i := strings.Index(line, ".go:"); i >= 0 {
			if _, text, ok := strings.Cut(line[i+4:], ": "); ok {
				return text
			}
		}
		return line
	}
	return "no reason given"
}

// reportSkips prints every skip and returns how many of them allowed does not list.
func (s *summary) reportSkips(allowed map[string]bool) int {
	var names []string
	for name := range s.skips {
		names = append(names, name)
	}
	sort.Strings(names)
	unexpected := 0
	for _, name := range names {
		mark := "skip "
		if !allowed[name] {
			unexpected++
			mark = "SKIP "
		}
		fmt.Fprintf(s.out, "%s %s: %s\n", mark, name, s.skips[name])
	}
	return unexpected
}

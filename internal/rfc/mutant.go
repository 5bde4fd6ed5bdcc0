package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// atOnce is how many clauses are tried at a time: each is mostly a compiler
// and a linker, which use more than one core themselves.
const atOnce = 2

// Bounds of one test run. A disabled clause may well mean a loop without end
// that takes memory.
const (
	testTimeout = 60 * time.Second
	testMemory  = 8 << 20 // KiB of address space
)

// runMutants disables each clause that pattern matches and runs its tests, and
// reports to w. The error names the clauses whose tests do not notice.
func runMutants(docs []*document, pattern *regexp.Regexp, w io.Writer) error {
	var todo []*clause
	for _, d := range docs {
		for _, c := range d.clauses {
			if len(c.edits) > 0 && pattern.MatchString(c.name()) {
				todo = append(todo, c)
			}
		}
	}
	if len(todo) == 0 {
		return errors.New("no clause that can be disabled has such a name")
	}
	dir, err := os.MkdirTemp("", "rfc-mutants-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := runUnedited(todo, dir, w); err != nil {
		return err
	}
	var (
		mu     sync.Mutex
		failed []string
		wg     sync.WaitGroup
		slots  = make(chan int, atOnce)
	)
	for i := range atOnce {
		slots <- i
	}
	for _, c := range todo {
		slot := <-slots
		wg.Go(func() {
			defer func() { slots <- slot }()
			start := time.Now()
			err := c.try(filepath.Join(dir, fmt.Sprint(slot)))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = append(failed, c.name())
				fmt.Fprintf(w, "FAILS     %v\n", err)
				return
			}
			fmt.Fprintf(w, "noticed   %s by %s (%.1f s)\n", c.name(), c.status(), time.Since(start).Seconds())
		})
	}
	wg.Wait()
	fmt.Fprintf(w, "%d clauses disabled, %d not noticed\n", len(todo), len(failed))
	if len(failed) > 0 {
		return fmt.Errorf("not proven: %s", strings.Join(failed, ", "))
	}
	return nil
}

// byPackage groups the tests of some clauses by package directory.
func byPackage(clauses []*clause) map[string][]string {
	tests := map[string][]string{}
	for _, c := range clauses {
		for _, m := range c.marks {
			if !slices.Contains(tests[m.dir], m.test) {
				tests[m.dir] = append(tests[m.dir], m.test)
			}
		}
	}
	return tests
}

// runUnedited runs the tests of all clauses, which have to pass: what fails
// anyhow proves nothing.
func runUnedited(clauses []*clause, dir string, w io.Writer) error {
	for pkg, tests := range byPackage(clauses) {
		bin, err := compile(pkg, dir, nil)
		if err != nil {
			return err
		}
		for _, t := range tests {
			out, err := runTest(bin, pkg, t)
			if err == nil && !bytes.Contains(out, []byte("\n--- PASS: "+t+" ")) {
				err = errors.New("it was skipped, or is not built here")
			}
			if err != nil {
				return fmt.Errorf("%s does not pass although nothing is disabled: %w\n%s", mark{dir: pkg, test: t}.name(), err, out)
			}
		}
		fmt.Fprintf(w, "passes    %s: %d tests\n", pkg, len(tests))
	}
	return nil
}

// try disables the clause and wants each of its tests to fail.
func (c *clause) try(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	files, err := overlay(".", c)
	if err != nil {
		return err
	}
	replace := map[string]string{}
	for name, src := range files {
		abs, err := filepath.Abs(filepath.FromSlash(name))
		if err != nil {
			return err
		}
		to := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(to, src, 0o644); err != nil {
			return err
		}
		replace[abs] = to
	}
	var passed []string
	for pkg, tests := range byPackage([]*clause{c}) {
		bin, err := compile(pkg, dir, replace)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", c.line, c.name(), err)
		}
		for _, t := range tests {
			out, err := runTest(bin, pkg, t)
			if err == nil {
				passed = append(passed, mark{dir: pkg, test: t}.name())
			} else if !noticed(out) {
				return fmt.Errorf("%s: %s: %s could not be run: %w\n%s", c.line, c.name(), mark{dir: pkg, test: t}.name(), err, out)
			}
		}
	}
	if len(passed) > 0 {
		return fmt.Errorf("%s: %s is disabled, and still pass: %s", c.line, c.name(), strings.Join(passed, ", "))
	}
	return nil
}

// noticed reports whether a run ended because a test failed, or because the
// test never would have ended or took the process with it.
func noticed(out []byte) bool {
	for _, s := range []string{"--- FAIL", "panic: ", "fatal error: "} {
		if bytes.Contains(out, []byte(s)) {
			return true
		}
	}
	return false
}

// compile makes the test binary of the package in pkg, with some source files
// replaced.
func compile(pkg, dir string, replace map[string]string) (bin string, err error) {
	bin = filepath.Join(dir, "test")
	args := []string{"test", "-c", "-o", bin}
	if replace != nil {
		b, err := json.Marshal(map[string]any{"Replace": replace})
		if err != nil {
			return "", err
		}
		file := filepath.Join(dir, "overlay.json")
		if err := os.WriteFile(file, b, 0o644); err != nil {
			return "", err
		}
		args = append(args, "-overlay", file)
	}
	cmd := exec.Command("go", append(args, "./"+pkg)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s does not compile: %w\n%s", pkg, err, out)
	}
	return bin, nil
}

// runTest runs one test of a compiled package, where its files are.
func runTest(bin, pkg, test string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout+10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", fmt.Sprintf(`ulimit -v %d; exec "$0" "$@"`, testMemory), bin,
		"-test.run", "^"+test+"$", "-test.timeout", testTimeout.String(), "-test.v")
	cmd.Dir = filepath.FromSlash(pkg)
	return cmd.CombinedOutput()
}

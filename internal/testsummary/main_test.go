package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func run(t *testing.T, input string) (*summary, string) {
	t.Helper()
	var out strings.Builder
	s := &summary{out: &out, outputs: map[string]*strings.Builder{}, skips: map[string]string{}}
	if err := s.read(strings.NewReader(input)); err != nil {
		t.Fatal(err)
	}
	return s, out.String()
}

func TestCountsAndShowsFailures(t *testing.T) {
	s, out := run(t, `{"Action":"output","Package":"p","Test":"TestA","Output":"fine\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:7: boom\n"}
{"Action":"fail","Package":"p","Test":"TestB","Elapsed":0.5}
{"Action":"fail","Package":"p","Elapsed":1}
`)
	if s.passed != 1 || s.failed != 2 { // the test and its package
		t.Errorf("passed %d, failed %d", s.passed, s.failed)
	}
	if !strings.Contains(out, "boom") || strings.Contains(out, "fine") {
		t.Errorf("output:\n%s", out)
	}
}

func TestSkipsKeepTheirReason(t *testing.T) {
	s, _ := run(t, `{"Action":"output","Package":"arpeggio/qemu","Test":"TestKVM","Output":"=== RUN   TestKVM\n"}
{"Action":"output","Package":"arpeggio/qemu","Test":"TestKVM","Output":"    kvm_test.go:12: no working KVM: emulated\n"}
{"Action":"skip","Package":"arpeggio/qemu","Test":"TestKVM"}
`)
	if got := s.skips["qemu.TestKVM"]; got != "no working KVM: emulated" {
		t.Errorf("reason = %q", got)
	}
	if n := s.reportSkips(map[string]bool{"qemu.TestKVM": true}); n != 0 {
		t.Errorf("a listed skip counts as unexpected")
	}
	if n := s.reportSkips(nil); n != 1 {
		t.Errorf("an unlisted skip does not count")
	}
}

func TestBuildFailureIsShown(t *testing.T) {
	_, out := run(t, `{"ImportPath":"p","Action":"build-output","Output":"p.go:3: undefined: x\n"}
{"ImportPath":"p","Action":"build-fail"}
`)
	if !strings.Contains(out, "undefined: x") {
		t.Errorf("output:\n%s", out)
	}
}

func TestExpectedNeedsAReason(t *testing.T) {
	f := filepath.Join(t.TempDir(), "skips")
	os.WriteFile(f, []byte("# comment\nqemu.TestKVM\n"), 0o644)
	if _, err := readExpected(f); err == nil || !strings.Contains(err.Error(), "without a reason") {
		t.Errorf("error %v", err)
	}
	os.WriteFile(f, []byte("# comment\n\nqemu.TestKVM needs hardware virtualisation\n"), 0o644)
	if allowed, err := readExpected(f); err != nil || !allowed["qemu.TestKVM"] || len(allowed) != 1 {
		t.Errorf("allowed %v, error %v", allowed, err)
	}
}

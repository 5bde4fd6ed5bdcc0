// Package arpeggio_test holds the tests that concern the whole module: who may
// import whom, and that every package says what it is for.
package arpeggio_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "arpeggio"

// policy is the table of docs/CHANGING.md and ARCHITECTURE.md: each package
// and the packages of ours that its non-test code may import. A pattern that
// ends in /... covers a subtree. A package that is missing here fails the test:
// a new room must say who may enter it.
var policy = map[string][]string{
	"stack/ethernet": {},
	"stack/link":     {"stack/ethernet"},
	"stack/checksum": {},
	"stack/ipv4":     {"stack/checksum"},
	"stack/icmp":     {"stack/checksum"},
	"stack/udp":      {"stack/checksum"},
	"stack/igmp":     {"stack/checksum"},
	"stack/tcp":      {"stack/checksum"},
	"stack": {"stack/ethernet", "stack/link", "stack/checksum",
		"stack/ipv4", "stack/icmp", "stack/igmp", "stack/udp", "stack/tcp"},
	"stack/host":    {"stack", "stack/ethernet"},
	"stack/vnet":    {"stack/ethernet", "stack/link"},
	"stack/capture": {"stack/ethernet", "stack/link"},

	"arp":              {"stack/ethernet"},
	"arp/arptest":      {"arp", "stack/ethernet"},
	"arp/observe":      {"arp", "stack/ethernet", "stack/checksum"},
	"arp/observe/sink": {"arp", "arp/observe", "arp/vendors", "stack/ethernet"},
	"arp/versioned":    {"arp", "vcs", "stack/ethernet"},
	"arp/exchange":     {"arp", "stack/ethernet"},
	"arp/vendors":      {"stack/ethernet"},

	"vcs":           {},
	"vcs/packfile":  {"vcs"},
	"vcs/archive":   {"vcs", "vcs/packfile"},
	"vcs/mem":       {"vcs"},
	"vcs/mergers":   {"vcs"},
	"vcs/badger":    {"vcs"},
	"vcs/gitserve":  {"vcs", "vcs/packfile"},
	"vcs/gitremote": {"vcs", "vcs/packfile"},
	"vcs/vcstest":   {"vcs", "vcs/mem", "vcs/packfile"},

	"tuntap":  {"stack/ethernet", "stack/link"},
	"site":    {},
	"vmimage": {},
	"qemu":    {},

	"bench": {}, // its tests import what they measure

	"internal/control": {},
	"internal/guest":   {"internal/control"},
	"internal/...":     {"..."},
	"cmd/...":          {"..."},
}

// thirdParty names, for each module that is not ours and not golang.org/x, the
// one package that may import it, so that it can be replaced in one place.
var thirdParty = map[string]string{
	"github.com/alecthomas/kong":          "cmd/arpeggio",
	"github.com/cavaliergopher/cpio":      "vmimage",
	"github.com/dgraph-io/badger/v4":      "vcs/badger",
	"github.com/go-git/go-billy/v5":       "vcs/gitremote", // of go-git
	"github.com/go-git/go-git/v5":         "vcs/gitremote",
	"github.com/go-sql-driver/mysql":      "internal/drivers", // in tests, as the next two
	"github.com/gomodule/redigo":          "internal/drivers",
	"github.com/lib/pq":                   "internal/drivers",
	"github.com/insomniacslk/dhcp":        "stack/host",
	"github.com/klauspost/compress":       "vcs/packfile",
	"github.com/pjbgf/sha1cd":             "vcs/packfile",
	"github.com/prometheus/client_golang": "site",
	"github.com/songgao/water":            "tuntap",
}

type goPackage struct {
	ImportPath string
	Doc        string
	Imports    []string
	Standard   bool
	Module     *struct{ Path string }
}

func goList(t *testing.T, args ...string) []goPackage {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-e", "-json=ImportPath,Doc,Imports,Standard,Module"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); err == io.EOF {
			return pkgs
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		pkgs = append(pkgs, p)
	}
}

func matches(pattern, name string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "..."); ok {
		return strings.HasPrefix(name+"/", prefix)
	}
	return pattern == name
}

func allowedImports(name string) ([]string, bool) {
	if allowed, ok := policy[name]; ok {
		return allowed, true
	}
	for pattern, allowed := range policy {
		if matches(pattern, name) {
			return allowed, true
		}
	}
	return nil, false
}

func TestImportPolicy(t *testing.T) {
	for _, p := range goList(t, "./...") {
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		if name == "" { // this file
			continue
		}
		allowed, ok := allowedImports(name)
		if !ok {
			t.Errorf("%s is not in the import policy: add it to deps_test.go with what it may import", name)
			continue
		}
		for _, imp := range p.Imports {
			if target, ours := strings.CutPrefix(imp, module+"/"); ours {
				if !slices.ContainsFunc(allowed, func(pat string) bool { return matches(pat, target) }) {
					t.Errorf("%s imports %s, which the policy does not allow (it may import %s)", name, target, strings.Join(allowed, ", "))
				}
			}
		}
	}
}

// Each third-party module has one importer.
func TestThirdPartyImporters(t *testing.T) {
	owner := map[string]string{} // package path → module path
	for _, p := range goList(t, "-deps", "./...") {
		if p.Module != nil && !p.Standard {
			owner[p.ImportPath] = p.Module.Path
		}
	}
	for _, p := range goList(t, "./...") {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		for _, imp := range p.Imports {
			mod := owner[imp]
			if mod == "" || mod == module || strings.HasPrefix(mod, "golang.org/x/") {
				continue
			}
			if want, ok := thirdParty[mod]; !ok {
				t.Errorf("%s imports %s of module %s, which is not in the list of deps_test.go", name, imp, mod)
			} else if want != name {
				t.Errorf("%s imports %s: only %s may import module %s", name, imp, want, mod)
			}
		}
	}
}

// Protocol packages read no clock: their time is an argument.
func TestProtocolsHaveNoClock(t *testing.T) {
	for _, name := range []string{"stack/ethernet", "stack/checksum", "stack/ipv4", "stack/icmp", "stack/udp", "stack/tcp"} {
		out, err := exec.Command("git", "grep", "-nE", `\btime\.(Now|Since|Until|After|AfterFunc|NewTimer|NewTicker|Sleep)\(|\bsync\.(Mutex|RWMutex|Cond)\b|\bgo func`,
			"--", path.Join(name, "*.go"), ":!*_test.go").Output()
		if len(out) > 0 {
			t.Errorf("%s must be a pure engine:\n%s", name, out)
		} else if ee, ok := err.(*exec.ExitError); err != nil && (!ok || ee.ExitCode() != 1) {
			t.Skipf("git grep is not available here: %v", err)
		}
	}
}

// Who imports a package finds out how by reading an example that is run.
func TestEveryPublicPackageHasAnExample(t *testing.T) {
	for _, p := range goList(t, "./...") {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		if name == p.ImportPath || strings.HasPrefix(name, "internal/") || strings.HasPrefix(name, "cmd/") {
			continue
		}
		files, err := filepath.Glob(filepath.Join(filepath.FromSlash(name), "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(files, func(f string) bool {
			b, err := os.ReadFile(f)
			return err == nil && bytes.Contains(b, []byte("\nfunc Example"))
		}) {
			t.Errorf("%s has no runnable Example", name)
		}
	}
}

func TestEveryPackageHasADocComment(t *testing.T) {
	for _, p := range goList(t, "./...") {
		name := path.Base(p.ImportPath)
		if p.ImportPath == module {
			continue
		}
		if want := fmt.Sprintf("Package %s ", name); !strings.HasPrefix(p.Doc, want) && !strings.HasPrefix(p.Doc, "Command ") {
			t.Errorf("%s: the package comment must start with %q, is %q", p.ImportPath, want, p.Doc)
		}
	}
}

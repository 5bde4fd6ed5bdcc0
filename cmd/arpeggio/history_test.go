package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"arpeggio/arp"
	"arpeggio/arp/versioned"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/badger"
	"arpeggio/vcs/gitremote"
	"arpeggio/vcs/gitserve"
)

// TestHistoryScripts runs the sessions in testdata/history. Each finds the same
// history in three forms: the bare Git directory arp.git, the badger store
// arp.store, and, after the command git-http, at $URL.
func TestHistoryScripts(t *testing.T) {
	need(t, "git")
	// The binary as it ships starts several times faster than this one with the
	// race detector, and the scripts start it two hundred times.
	bin := filepath.Dir(binary(t))
	testscript.Run(t, testscript.Params{
		Dir: "testdata/history",
		Setup: func(env *testscript.Env) error {
			env.Vars = append(env.Vars, "TZ=UTC", "GIT_CONFIG_NOSYSTEM=1", "ARPEGGIO_REPO=arp.git",
				"GIT_AUTHOR_NAME=operator", "GIT_AUTHOR_EMAIL=op@example.org",
				"GIT_COMMITTER_NAME=operator", "GIT_COMMITTER_EMAIL=op@example.org")
			env.Setenv("PATH", bin+string(filepath.ListSeparator)+env.Getenv("PATH"))
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("XDG_CACHE_HOME", filepath.Join(env.WorkDir, "cache"))
			dir, err := gitremote.CreateDir(filepath.Join(env.WorkDir, "arp.git"), "refs/heads/primary")
			if err != nil {
				return err
			}
			if err := writeMorning(dir); err != nil {
				return err
			}
			b, err := badger.Open(context.Background(), filepath.Join(env.WorkDir, "arp.store"), badger.Config{MinFree: -1})
			if err != nil {
				return err
			}
			return writeMorning(b)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"git-http": gitHTTP, "observed": observed},
	})
}

// gitHTTP serves arp.git at $URL until the script ends.
func gitHTTP(ts *testscript.TestScript, neg bool, args []string) {
	dir, err := gitremote.OpenDir(ts.MkAbs("arp.git"))
	ts.Check(err)
	srv := httptest.NewServer(gitserve.New(gitserve.Config{Repository: dir, Prefix: "/arp.git"}))
	ts.Defer(func() { srv.Close(); dir.Close() })
	ts.Setenv("URL", srv.URL+"/arp.git")
}

// writeMorning records a morning of a network, the same in every repository:
//
//	12:00:00 initial empty cache
//	12:00:10 10.9.0.7 -> 0a
//	12:01:00 10.9.0.9 -> 0b
//	12:02:00 10.9.0.7 -> 0c (was 0a)
//	12:03:00 vlan-5/10.9.0.7 -> 0d, and, on a branch of its own, 10.9.0.9 expires
//	12:03:30 the merge of the two
//	12:04:00 10.9.0.7: a claim of 0a is refused
//	12:05:00 10.9.0.20 -> 0e
func writeMorning(b vcs.Backend) error {
	ctx := context.Background()
	s, err := vcs.OpenStore(ctx, b, vcs.StoreConfig{})
	if err != nil {
		return err
	}
	defer s.Close()
	m := morning{ctx: ctx}
	if m.repo, err = versioned.NewRepo(s); err != nil {
		return err
	}
	m.commit("primary", 0, "arp: initial empty cache")
	m.commit("primary", 10, "arp: 10.9.0.7 -> 02:50:00:00:00:0a", row(0, 7, 0x0a, 10))
	m.commit("primary", 60, "arp: 10.9.0.9 -> 02:50:00:00:00:0b", row(0, 9, 0x0b, 60))
	moved := row(0, 7, 0x0c, 120)
	moved.Entry.Earlier[0] = card(0x0a)
	m.commit("primary", 120, "arp: 10.9.0.7 -> 02:50:00:00:00:0c (was 02:50:00:00:00:0a)", moved)
	m.branch("expire/20260102T120300Z")
	gone := row(0, 9, 0x0b, 60)
	gone.Entry.State, gone.Entry.Clock = versioned.Expired, at(180).UnixMilli()
	m.commit("expire/20260102T120300Z", 180, "arp: 10.9.0.9 expired (was 02:50:00:00:00:0b)", gone)
	m.commit("primary", 180, "arp: vlan-5/10.9.0.7 -> 02:50:00:00:00:0d", row(5, 7, 0x0d, 180))
	m.merge("expire/20260102T120300Z", 210)
	m.commit("primary", 240, "arp: 10.9.0.7 claim of 02:50:00:00:00:0a refused, 02:50:00:00:00:0c keeps it\n\n"+
		versioned.TrailerCause+": refused\n"+versioned.TrailerAddress+": 10.9.0.7\n")
	m.commit("primary", 300, "arp: 10.9.0.20 -> 02:50:00:00:00:0e", row(0, 20, 0x0e, 300))
	return m.err
}

// at is a time of that morning, in seconds after noon UTC.
func at(sec int) time.Time { return time.Date(2026, 1, 2, 12, 0, sec, 0, time.UTC) }

func card(n byte) ethernet.Addr { return ethernet.Addr{2, 0x50, 0, 0, 0, n} }

func row(vlan uint16, host, mac byte, sec int) versioned.Row {
	return versioned.Row{
		Key: arp.Key{Domain: "lan", VLAN: ethernet.VLAN{Inner: vlan}, Addr: netip.AddrFrom4([4]byte{10, 9, 0, host})},
		Entry: versioned.Entry{State: versioned.Dynamic, MAC: card(mac), FirstSeen: at(sec).Unix(), Learned: "solicited reply",
			Interface: "eth0", Node: "site-a", Clock: at(sec).UnixMilli()},
	}
}

// morning writes commits; the first error stays.
type morning struct {
	ctx  context.Context
	repo *versioned.Repo
	err  error
}

func info(sec int, message string) vcs.CommitInfo {
	who := vcs.Signature{Name: "site-a", Email: "site-a@example.org"}
	return vcs.CommitInfo{Author: who, Committer: who, Message: message, Time: at(sec), AllowEmpty: true}
}

func (m *morning) commit(branch string, sec int, message string, rows ...versioned.Row) {
	if m.err != nil {
		return
	}
	head, _ := m.repo.Head(branch) // zero before the first commit
	var changes []vcs.Change[arp.Key, versioned.Entry]
	for _, r := range rows {
		changes = append(changes, vcs.Change[arp.Key, versioned.Entry]{Key: r.Key, Value: vcs.Some(r.Entry)})
	}
	_, m.err = m.repo.Commit(m.ctx, branch, head, changes, info(sec, message))
}

func (m *morning) branch(name string) {
	head, err := m.repo.Head("primary")
	if m.err == nil {
		m.err = err
	}
	if m.err == nil {
		m.err = m.repo.CreateBranch(m.ctx, name, head)
	}
}

func (m *morning) merge(branch string, sec int) {
	from, err := m.repo.Head(branch)
	if m.err == nil {
		m.err = err
	}
	if m.err == nil {
		_, m.err = m.repo.Merge(m.ctx, "primary", from, vcs.MergeOptions{CommitInfo: info(sec, fmt.Sprintf("arp: merge %s\n", branch))})
	}
}

// checkHistoryOfDisk reads a data disk like any repository and compares it with
// a snapshot. A guest is booted for it once, and not again while the disk stays
// as it is.
func checkHistoryOfDisk(t *testing.T, disk, image, snapshot string) {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	want := must(t, "git", "-C", snapshot, "log", "--format=%H", "primary")
	for _, flag := range []string{"--image=" + image, "--image=no-image-is-needed-now", "--offline"} {
		var got strings.Builder
		for line := range strings.Lines(must(t, binary(t), "log", "--json", "--repo", disk, flag)) {
			var c commitJSON
			if json.Unmarshal([]byte(line), &c) == nil { // the rest is a note about the guest
				got.WriteString(c.Commit + "\n")
			}
		}
		if got.String() != want {
			t.Errorf("log %s of the disk:\n%swant\n%s", flag, got.String(), want)
		}
	}
}

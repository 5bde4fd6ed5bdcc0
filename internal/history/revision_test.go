package history

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/versioned"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// table is a repository with a commit each ten minutes from 11:00 to 12:20, each
// of which adds an address: 10.9.0.1 at 11:00, 10.9.0.2 at 11:10, and so on.
func table(t *testing.T) (*Resolver, *versioned.Repo) {
	t.Helper()
	s, err := vcs.OpenStore(t.Context(), mem.New(), vcs.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	repo, err := versioned.NewRepo(s)
	if err != nil {
		t.Fatal(err)
	}
	first := time.Date(2026, 1, 2, 11, 0, 0, 0, time.UTC)
	for i := range 9 {
		put(t, repo, "primary", key("lan", 0, i+1), i+1, first.Add(time.Duration(i)*10*time.Minute))
	}
	return &Resolver{Store: s, Now: now}, repo
}

func key(domain string, vlan uint16, host int) arp.Key {
	return arp.Key{Domain: domain, VLAN: ethernet.VLAN{Inner: vlan}, Addr: netip.AddrFrom4([4]byte{10, 9, 0, byte(host)})}
}

func entry(card int, at time.Time) versioned.Entry {
	return versioned.Entry{State: versioned.Dynamic, MAC: ethernet.Addr{2, 0x50, 0, 0, 0, byte(card)}, FirstSeen: at.Unix(),
		Learned: "solicited reply", Node: "site-a", Clock: at.UnixMilli()}
}

func put(t *testing.T, repo *versioned.Repo, branch string, k arp.Key, card int, at time.Time) vcs.ID {
	t.Helper()
	id, err := repo.Set(t.Context(), branch, k, entry(card, at), vcs.CommitInfo{Message: fmt.Sprintf("arp: %v -> card %d", k, card), Time: at})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestRevisionsAndTimes(t *testing.T) {
	r, _ := table(t)
	head := resolve(t, r, "HEAD")
	for rev, want := range map[string]string{
		"":                     "12:20", // HEAD
		"@":                    "12:20",
		"primary":              "12:20",
		"refs/heads/primary":   "12:20",
		"primary~2":            "12:00",
		"HEAD^":                "12:10",
		"12:05":                "12:00", // a time: what held then
		"12:10":                "12:10",
		"11:09:59":             "11:00",
		"25m ago":              "12:00", // it is 12:30
		"2026-01-02T11:35:00Z": "11:30",
		"primary@{11:35}":      "11:30",
		"primary~4@{12:30}":    "11:40",
		head.ID.String():       "12:20",
		head.ID.String()[:9]:   "12:20",
		head.ID.Short() + "~1": "12:10",
	} {
		got, err := r.Resolve(rev)
		if err != nil {
			t.Errorf("%q: %v", rev, err)
		} else if at := got.Commit.Time().UTC().Format("15:04"); at != want {
			t.Errorf("%q is the commit of %s, want %s", rev, at, want)
		}
	}
}

func TestRanges(t *testing.T) {
	r, _ := table(t)
	for text, want := range map[string]string{
		"primary~2..primary":     "12:00 12:20",
		"..primary~1":            "12:20 12:10",
		"primary~3..":            "11:50 12:20",
		"11:15..11:55":           "11:10 11:50",
		"12:05..12:45":           "12:00 12:20", // 12:45 is still to come: the first one after 12:05
		"1h ago..12:05":          "11:30 12:00",
		"primary~8..11:15":       "11:00 11:10",
		"2026-01-02 11:05..12:0": "",
	} {
		a, b, err := r.Range(text)
		if want == "" {
			if err == nil {
				t.Errorf("%q is a range", text)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		got := a.Commit.Time().UTC().Format("15:04") + " " + b.Commit.Time().UTC().Format("15:04")
		if got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}

// Over midnight the right side belongs to the next day.
func TestRangeOverMidnight(t *testing.T) {
	r, repo := table(t)
	put(t, repo, "primary", key("lan", 0, 50), 1, time.Date(2026, 1, 2, 23, 58, 0, 0, time.UTC))
	put(t, repo, "primary", key("lan", 0, 51), 1, time.Date(2026, 1, 3, 0, 3, 0, 0, time.UTC))
	r.Now = time.Date(2026, 1, 3, 9, 0, 0, 0, time.UTC)
	a, b, err := r.Range("23:55..00:05")
	if err != nil {
		t.Fatal(err)
	}
	if a.Commit.Time().UTC().Format("02 15:04") != "02 12:20" || b.Commit.Time().UTC().Format("02 15:04") != "03 00:03" {
		t.Errorf("from %v to %v", a.Commit.Time(), b.Commit.Time())
	}
}

func TestUnknownRevisionsNameTheNearest(t *testing.T) {
	r, repo := table(t)
	head := resolve(t, r, "HEAD").ID
	for _, name := range []string{"expire/20260102T110000Z", "learn", "node/site-a", "node/site-b"} {
		if err := repo.CreateBranch(t.Context(), name, head); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := repo.CreateTag(t.Context(), "both", head, vcs.CommitInfo{}); err != nil {
		t.Fatal(err)
	}
	if err := repo.CreateBranch(t.Context(), "both", head); err != nil {
		t.Fatal(err)
	}
	for rev, want := range map[string]string{
		"primry":      "nearest: primary",
		"site-a":      "nearest: node/site-a",
		"lern":        "nearest: learn",
		"primary~99":  "primary has no such ancestor",
		"10:59":       "nothing was recorded before 2026-01-02 10:59:00 +0000; the first commit",
		"x@{11:00}":   "unknown revision \"x\"",
		"HEAD@{noon}": "unknown time \"noon\"",
		"deadbeef":    "unknown revision \"deadbeef\"",
		"both":        "both a tag and a branch; write refs/tags/both or refs/heads/both",
	} {
		_, err := r.Resolve(rev)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", rev, err, want)
		}
		if kind := map[bool]error{true: ErrAmbiguous, false: ErrUnknown}[rev == "both"]; !errors.Is(err, kind) {
			t.Errorf("%s: %v is not of kind %v", rev, err, kind)
		}
	}
}

func TestAnEmptyRepositorySaysSo(t *testing.T) {
	s, err := vcs.OpenStore(t.Context(), mem.New(), vcs.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r := &Resolver{Store: s, Now: now}
	if _, err := r.Resolve(""); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "no commits yet") {
		t.Error(err)
	}
}

// Two commits whose ids begin alike cannot be told apart by that beginning.
func TestAbbreviations(t *testing.T) {
	dir := randomHistory(t, 42, 900)
	r := open(t, dir)
	all := fields(git(t, dir, "", "rev-list", "--all"))
	byPrefix := map[string][]string{}
	for _, id := range all {
		byPrefix[id[:4]] = append(byPrefix[id[:4]], id)
	}
	clashes := 0
	for p, ids := range byPrefix {
		_, err := r.Resolve(p)
		if len(ids) > 1 {
			clashes++
			if !errors.Is(err, ErrAmbiguous) || !strings.Contains(err.Error(), ids[0][:12]) || !strings.Contains(err.Error(), "change ") {
				t.Errorf("%s: %v", p, err)
			}
		}
	}
	if clashes == 0 {
		t.Fatal("the history has no clash")
	}
	if got := resolve(t, r, all[7][:12]).ID.String(); got != all[7] {
		t.Errorf("%s became %s", all[7][:12], got)
	}
}

func TestHeadOfAWorkTree(t *testing.T) {
	bare := randomHistory(t, 3, 20)
	dir := filepath.Join(t.TempDir(), "clone")
	git(t, t.TempDir(), "", "clone", "-q", bare, dir)
	want := strings.TrimSpace(git(t, dir, "", "rev-parse", "HEAD~1"))
	git(t, dir, "", "checkout", "-q", "--detach", "HEAD~1")
	if got := resolve(t, open(t, dir), "HEAD").ID.String(); got != want {
		t.Errorf("a detached HEAD is %s, want %s", got, want)
	}
	linked := filepath.Join(t.TempDir(), "linked")
	git(t, dir, "", "worktree", "add", "-q", linked, "origin/primary")
	want = strings.TrimSpace(git(t, linked, "", "rev-parse", "HEAD"))
	if got := resolve(t, open(t, linked), "HEAD").ID.String(); got != want {
		t.Errorf("a linked work tree's HEAD is %s, want %s", got, want)
	}
}

func TestAnAddressIsInEveryNetwork(t *testing.T) {
	r, repo := table(t)
	at := now
	for _, k := range []arp.Key{key("lan", 5, 3), key("dmz", 0, 3), key("dmz", 7, 3), key("dmz", 7, 4)} {
		put(t, repo, "primary", k, 9, at)
	}
	c := resolve(t, r, "HEAD")
	found, err := Require(r.Store, c, []Spec{ParseSpec("10.9.0.3")})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range found {
		k, ok := versioned.Layout{}.Key(m.Path)
		if !ok {
			t.Errorf("%s is no key", m.Path)
		}
		got = append(got, k.String())
	}
	equal(t, "networks", got, []string{"dmz/10.9.0.3", "dmz/vlan-7/10.9.0.3", "10.9.0.3", "vlan-5/10.9.0.3"})
	if n := len(ids(t, r, LogOptions{From: []vcs.ID{c.ID}, Specs: []Spec{ParseSpec("10.9.0.3")}})); n != 4 {
		t.Errorf("the log has %d commits, want 4", n)
	}
	for what, want := range map[string]string{
		"10.9.0.44":                 "unknown address 10.9.0.44 in " + c.ID.Short() + "; nearest: 10.9.0.7, 10.9.0.8, 10.9.0.9",
		"10.8.0.1":                  "nearest: 10.9.0.1, 10.9.0.2, 10.9.0.3",
		"lan/v5":                    "unknown path lan/v5 in " + c.ID.Short() + "; nearest: lan/v4, lan/vlan-5",
		"land":                      "nearest: lan, dmz",
		"2001:db8::1":               "unknown address 2001:db8::1",
		"lan/v4/10.9.0.0_16/nobody": "nearest: lan/v4/10.9.0.0_16/10.9.0.0_20",
	} {
		_, err := Require(r.Store, c, []Spec{ParseSpec(what)})
		if !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", what, err, want)
		}
	}
}

// Refused claims change no entry; they belong to an address all the same.
func TestMentions(t *testing.T) {
	r, repo := table(t)
	note := func(addr string) vcs.ID {
		head, err := repo.Head("primary")
		if err != nil {
			t.Fatal(err)
		}
		id, err := repo.Commit(t.Context(), "primary", head, nil, vcs.CommitInfo{
			Message: "arp: claim refused\n\n" + versioned.TrailerCause + ": refused\n" + versioned.TrailerAddress + ": " + addr, AllowEmpty: true, Time: now})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	want := []string{note("10.9.0.3").String()}
	note("10.9.0.33")
	inVLAN := note("vlan-5/10.9.0.3")
	want = append([]string{inVLAN.String()}, append(want, resolve(t, r, "11:20").ID.String())...)
	from := []vcs.ID{resolve(t, r, "HEAD").ID}
	equal(t, "mentions", ids(t, r, LogOptions{From: from, Specs: []Spec{ParseSpec("10.9.0.3")}, Mentions: true}), want)
	equal(t, "changes", ids(t, r, LogOptions{From: from, Specs: []Spec{ParseSpec("10.9.0.3")}}), want[2:])
}

func TestWriteFilesIsACheckout(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "work")
	git(t, t.TempDir(), "", "init", "-q", "-b", "primary", dir)
	if err := os.WriteFile(filepath.Join(dir, "run"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "sub", "text"), []byte("no end"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	git(t, dir, "", "add", ".")
	git(t, dir, "", "commit", "-q", "-m", "files")
	r := open(t, dir)
	out := t.TempDir()
	if err := WriteFiles(t.Context(), r.Store, resolve(t, r, "HEAD"), out); err != nil {
		t.Fatal(err)
	}
	os.RemoveAll(filepath.Join(dir, ".git"))
	if diff, err := exec.Command("diff", "--no-dereference", "-r", dir, out).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if info, err := os.Stat(filepath.Join(out, "run")); err != nil || info.Mode()&0o111 == 0 {
		t.Errorf("run: %v %v", info, err)
	}
	if to, err := os.Readlink(filepath.Join(out, "link")); err != nil || to != "/etc/passwd" {
		t.Errorf("link: %s %v", to, err)
	}
}

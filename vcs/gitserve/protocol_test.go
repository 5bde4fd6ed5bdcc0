package gitserve

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/vcstest"
)

// pkt frames lines; "0000" and "0001" stand for themselves.
func pkt(lines ...string) string {
	var b bytes.Buffer
	w := newPktWriter(&b)
	for _, l := range lines {
		switch l {
		case "0000":
			w.flush()
		case "0001":
			w.delim()
		default:
			w.linef("%s\n", l)
		}
	}
	return b.String()
}

type request struct {
	method, path, body string
	header             map[string]string
}

func post(v int, body string) request {
	return request{"POST", "/git-upload-pack", body, map[string]string{
		"Content-Type": typeRequest, "Git-Protocol": fmt.Sprintf("version=%d", v)}}
}

func do(t *testing.T, url string, r request) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequest(r.method, url+r.path, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

func TestRefusals(t *testing.T) {
	r := newTestRepo()
	tip := r.chain(t, "primary", 3)[2]
	h, url := serve(t, Config{Repository: r, MaxRequest: 4096, MaxWants: 3, MaxHaves: 4})
	want := "want " + tip.String()
	unknown := vcs.ID{1, 2, 3}.String()
	fetch := []string{"command=fetch", "0001"}
	v2 := func(args ...string) request { return post(2, pkt(append(fetch[:2:2], append(args, "0000")...)...)) }
	v0 := func(lines ...string) request { return post(0, pkt(lines...)) }
	header := func(r request, k, v string) request { r.header[k] = v; return r }
	for _, c := range []struct {
		name   string
		req    request
		status int
		text   string // part of the answer
		reason string
	}{
		{"dumb clone", request{method: "GET", path: "/info/refs"}, 403, "smart HTTP", reasonDumb},
		{"dumb object", request{method: "GET", path: "/objects/info/packs"}, 403, "smart HTTP", reasonDumb},
		{"push advertisement", request{method: "GET", path: "/info/refs?service=git-receive-pack"}, 403, "read-only", reasonWrite},
		{"push", request{method: "POST", path: "/git-receive-pack"}, 403, "read-only", reasonWrite},
		{"other service", request{method: "GET", path: "/info/refs?service=git-archive"}, 403, "Unsupported service", reasonService},
		{"other path", request{method: "GET", path: "/config"}, 404, "nothing at this address", reasonPath},
		{"escape", request{method: "GET", path: "/../../etc/passwd"}, 404, "", reasonPath},
		{"GET of the endpoint", request{method: "GET", path: "/git-upload-pack"}, 405, "POST", reasonMethod},
		{"POST of the refs", request{method: "POST", path: "/info/refs?service=git-upload-pack"}, 405, "GET", reasonMethod},
		{"content type", header(v0(want, "0000"), "Content-Type", "text/plain"), 415, typeRequest, reasonType},
		{"encoding", header(v0(want, "0000"), "Content-Encoding", "br"), 415, "gzip", reasonEncoding},
		{"false gzip", header(v0(want, "0000"), "Content-Encoding", "gzip"), 415, "gzip", reasonEncoding},
		{"framing", post(2, "zzzz"), 400, "pkt-line", reasonFraming},
		{"length 3", post(2, "0003"), 400, "pkt-line", reasonFraming},
		{"cut-off line", post(2, "0032command"), 400, "ends inside", reasonFraming},
		{"cut-off request", post(2, pkt("command=fetch", "0001", want)), 400, "hung up", reasonFraming},
		{"cut-off wants", post(0, pkt(want)), 400, "hung up", reasonFraming},
		{"no command", post(2, pkt("agent=x", "0000")), 200, "ERR no command", reasonSyntax},
		{"two commands", post(2, pkt("command=fetch", "command=ls-refs", "0000")), 200, "ERR command", reasonSyntax},
		{"other command", post(2, pkt("command=object-info", "0000")), 200, "ERR invalid command", reasonSyntax},
		{"capability", post(2, pkt("command=fetch", "evil=1", "0000")), 200, "ERR unknown capability", reasonSyntax},
		{"sha256", post(2, pkt("command=fetch", "object-format=sha256", "0000")), 200, "ERR mismatched object format", reasonSyntax},
		{"v0 sha256", v0(want+" object-format=sha256", "0000"), 200, "ERR mismatched object format", reasonSyntax},
		{"ls-refs argument", post(2, pkt("command=ls-refs", "0001", "frobnicate", "0000")), 200, "ERR unexpected line", reasonSyntax},
		{"fetch argument", v2("want-ref refs/heads/primary"), 200, "ERR unexpected line", reasonSyntax},
		{"delimiter", v2("0001"), 200, "ERR expected flush", reasonSyntax},
		{"no object id", v2("want xyz"), 200, "ERR protocol error", reasonSyntax},
		{"unknown want", v2("want " + unknown), 200, "ERR upload-pack: not our ref " + unknown, reasonWant},
		{"v0 unknown want", v0("want "+unknown, "0000", "done"), 200, "ERR upload-pack: not our ref " + unknown, reasonWant},
		{"v0 no have", v0(want, "0000", "frobnicate"), 200, "ERR git upload-pack: expected SHA1 list", reasonSyntax},
		{"v0 late capabilities", v0(want, want+" ofs-delta", "0000"), 200, "ERR git upload-pack: protocol error", reasonSyntax},
		{"v0 filter without capability", v0(want, "filter blob:none", "0000"), 200, "ERR git upload-pack: filtering", reasonFilter},
		{"filter", v2(want, "filter tree:1", "done"), 200, "ERR filter 'tree:1' not supported", reasonFilter},
		{"two filters", v2(want, "filter blob:none", "filter blob:none"), 200, "ERR multiple filters", reasonFilter},
		{"deepen 0", v2(want, "deepen 0"), 200, "ERR Invalid deepen", reasonShallow},
		{"deepen-since x", v2(want, "deepen-since x"), 200, "ERR Invalid deepen_since", reasonShallow},
		{"deepen twice", v2(want, "deepen 1", "deepen-since 1", "done"), 200, "cannot be used together", reasonShallow},
		{"too many wants", v2(want, want, want, want), 200, "ERR more than 3 'want' lines", reasonLimit},
		{"too many haves", v2(want, "have "+unknown, "have "+unknown, "have "+unknown, "have "+unknown, "have "+unknown), 200, "ERR more than 4 'have' lines", reasonLimit},
		{"too long", post(2, pkt("command=ls-refs", "0001", "ref-prefix "+strings.Repeat("x", 5000), "0000")), 200, "ERR the request is longer than 4096 bytes", reasonLimit},
		{"bomb", gzipped(post(2, pkt("command=ls-refs", "0001", "ref-prefix "+strings.Repeat("x", 60000), "0000"))), 200, "ERR the request is longer", reasonLimit},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := h.Stats()
			status, body, _ := do(t, url, c.req)
			if status != c.status || !strings.Contains(body, c.text) {
				t.Errorf("answer %d %q, want %d with %q", status, body, c.status, c.text)
			}
			after := h.Stats()
			if after.Refused[c.reason] != before.Refused[c.reason]+1 {
				t.Errorf("refusals: %v, want one more of %s than %v", after.Refused, c.reason, before.Refused)
			}
			if after.Failures != 0 {
				t.Error("counted as a failure of the repository")
			}
		})
	}
}

func gzipped(r request) request {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, r.body)
	z.Close()
	r.body = b.String()
	r.header["Content-Encoding"] = "gzip"
	return r
}

func TestGitShowsOurRefusals(t *testing.T) {
	r := newTestRepo()
	r.chain(t, "primary", 3)
	_, url := serve(t, Config{Repository: r, Prefix: "/arp.git"})
	dir := clone(t, url, 2)
	vcstest.Git(t, dir, "commit", "-q", "--allow-empty", "-m", "mine")
	if out, ok := git(t, dir, "push", "-q"); ok || !strings.Contains(out, "writing (git push) is off") {
		t.Errorf("push: %s", out)
	}
	if out, ok := git(t, dir, "-c", version(2), "fetch", "origin", strings.Repeat("12", 20)); ok || !strings.Contains(out, "not our ref") {
		t.Errorf("fetch of an unknown object: %s", out)
	}
	if out, ok := git(t, dir, "ls-remote", strings.TrimSuffix(url, "/arp.git")+"/other.git"); ok || !strings.Contains(out, "not found") {
		t.Errorf("other repository: %s", out)
	}
}

// TestV2Capabilities: what is not built is not offered.
func TestV2Capabilities(t *testing.T) {
	_, url := serve(t, Config{Repository: busyRepo(t), Agent: "test/1"})
	status, body, hdr := do(t, url, request{"GET", "/info/refs?service=git-upload-pack", "", map[string]string{"Git-Protocol": "foo:version=2"}})
	want := pkt("version 2", "agent=test/1", "ls-refs=unborn", "fetch=shallow wait-for-done filter", "server-option", "object-format=sha1", "0000")
	if status != 200 || body != want {
		t.Errorf("%d %q, want %q", status, body, want)
	}
	if got := hdr.Get("Content-Type"); got != typeAdvertisement {
		t.Errorf("content type %q", got)
	}
	if got := hdr.Get("Cache-Control"); !strings.Contains(got, "no-cache") {
		t.Errorf("cache control %q", got)
	}
}

// TestProbe: before a large request git sends a lone flush.
func TestProbe(t *testing.T) {
	h, url := serve(t, Config{Repository: busyRepo(t)})
	for v := range 3 {
		for _, body := range []string{"0000", ""} {
			if status, answer, hdr := do(t, url, post(v, body)); status != 200 || answer != "" || hdr.Get("Content-Type") != typeResult {
				t.Errorf("v%d: %q gives %d %q", v, body, status, answer)
			}
		}
	}
	if s := h.Stats(); len(s.Refused) != 0 {
		t.Errorf("refused: %v", s.Refused)
	}
}

func TestBrowser(t *testing.T) {
	_, url := serve(t, Config{Repository: busyRepo(t), Prefix: "/arp.git/"})
	if _, body, _ := do(t, url, request{method: "GET"}); !strings.Contains(body, "git clone "+strings.TrimSuffix(url, "/")+"\n") {
		t.Errorf("a browser sees %q", body)
	}
}

// v2Fetch sends one fetch command and returns the answer up to its pack.
func v2Fetch(t *testing.T, url string, lines ...string) string {
	t.Helper()
	_, body, _ := do(t, url, gzipped(post(2, pkt(append([]string{"command=fetch", "agent=t", "0001", "ofs-delta", "no-progress"}, append(lines, "0000")...)...))))
	head, _, _ := strings.Cut(body, pkt("packfile"))
	return head
}

// TestV2Acknowledgments follows gitprotocol-v2(5), "fetch", section by section.
func TestV2Acknowledgments(t *testing.T) {
	r := newTestRepo()
	ids := r.chain(t, "primary", 6)
	_, url := serve(t, Config{Repository: r})
	want := "want " + ids[5].String()
	other := vcs.ID{7}.String()
	for _, c := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"nothing common", []string{want, "have " + other}, pkt("acknowledgments", "NAK", "0000")},
		{"common and ready", []string{want, "have " + other, "have " + ids[2].String()},
			pkt("acknowledgments", "ACK "+ids[2].String(), "ready", "0001")},
		{"wait for done", []string{want, "wait-for-done", "have " + ids[2].String()},
			pkt("acknowledgments", "ACK "+ids[2].String(), "0000")},
		{"negotiate only", []string{"wait-for-done", "have " + ids[2].String()},
			pkt("acknowledgments", "ACK "+ids[2].String(), "0000")},
		{"done", []string{want, "have " + ids[2].String(), "done"}, ""},
		{"no wants", []string{"have " + ids[2].String()}, ""},
		{"deepen", []string{want, "deepen 2", "done"}, pkt("shallow-info", "shallow "+ids[4].String(), "0001")},
		{"unshallow", []string{want, "shallow " + ids[4].String(), "deepen 2147483647", "done"},
			pkt("shallow-info", "unshallow "+ids[4].String(), "0001")},
		{"ready and deepen", []string{want, "shallow " + ids[4].String(), "deepen 3", "have " + ids[5].String()},
			pkt("acknowledgments", "ACK "+ids[5].String(), "ready", "0001", "shallow-info", "shallow "+ids[3].String(), "unshallow "+ids[4].String(), "0001")},
	} {
		if got := v2Fetch(t, url, c.lines...); got != c.want {
			t.Errorf("%s:\n%q, want\n%q", c.name, got, c.want)
		}
	}
}

// TestV0Acknowledgments follows gitprotocol-pack(5), "Packfile Negotiation".
func TestV0Acknowledgments(t *testing.T) {
	r := newTestRepo()
	ids := r.chain(t, "primary", 6)
	_, url := serve(t, Config{Repository: r})
	a, b, other := ids[1].String(), ids[2].String(), vcs.ID{7}.String()
	for _, c := range []struct {
		caps  string
		haves []string
		want  string
	}{
		{"", []string{"done"}, pkt("NAK")},
		{"", []string{"have " + other, "0000"}, pkt("NAK")},
		{"", []string{"have " + a, "have " + b, "0000"}, pkt("ACK " + a)},
		{"", []string{"have " + other, "have " + a, "have " + b, "done"}, pkt("ACK " + a)},
		{"multi_ack", []string{"have " + a, "have " + b, "0000"}, pkt("ACK "+a+" continue", "ACK "+b+" continue", "NAK")},
		{"multi_ack", []string{"have " + a, "done"}, pkt("ACK "+a+" continue", "ACK "+a)},
		{"multi_ack_detailed", []string{"have " + other, "0000"}, pkt("NAK")},
		{"multi_ack_detailed", []string{"have " + a, "have " + other, "0000"}, pkt("ACK "+a+" common", "ACK "+a+" ready", "NAK")},
		{"multi_ack_detailed no-done", []string{"have " + a, "0000"}, pkt("ACK "+a+" common", "ACK "+a+" ready", "NAK", "ACK "+a)},
		{"multi_ack_detailed", []string{"have " + a, "done"}, pkt("ACK "+a+" common", "ACK "+a)},
	} {
		body := pkt(append([]string{"want " + ids[5].String() + " ofs-delta " + c.caps, "0000"}, c.haves...)...)
		_, answer, _ := do(t, url, post(0, body))
		head, pack, _ := strings.Cut(answer, "PACK")
		if head != c.want {
			t.Errorf("%q %q:\n%q, want\n%q", c.caps, c.haves, head, c.want)
		}
		if wantPack := c.haves[len(c.haves)-1] == "done" || strings.Contains(c.caps, "no-done"); (pack != "") != wantPack {
			t.Errorf("%q %q: pack of %d bytes", c.caps, c.haves, len(pack))
		}
	}
}

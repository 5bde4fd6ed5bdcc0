package gitserve

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
)

// packOf packs objects for a push by hand.
func packOf(t testing.TB, r vcs.ObjectReader, ids ...vcs.ID) []byte {
	t.Helper()
	set, err := packfile.Select(t.Context(), r, packfile.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if err := set.Add(id); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := set.Write(&b, packfile.Options{}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// onTop makes a commit on a store's primary, outside of the store: its id and
// its objects, commit first.
func onTop(t testing.TB, s *vcs.Store, text string) (*testRepo, []vcs.ID) {
	t.Helper()
	r := newTestRepo()
	tip, _ := s.Ref("refs/heads/primary")
	id := r.commit(t, "x", text, map[string]string{"new": text}, tip)
	ids := []vcs.ID{id}
	for other := range r.objects {
		if other != id {
			ids = append(ids, other)
		}
	}
	return r, ids
}

// TestReport follows gitprotocol-pack(5), "Report Status", byte by byte.
func TestReport(t *testing.T) {
	_, s, url := pushServer(t, "refs/heads/no:none *:all")
	tip, _ := s.Ref("refs/heads/primary")
	up := func(name string, old, new vcs.ID) vcs.RefUpdate { return vcs.RefUpdate{Name: name, Old: old, New: new} }
	none := vcs.ID{}
	for _, c := range []struct {
		name, caps string
		updates    []vcs.RefUpdate
		pack       []byte
		want       string
	}{
		{"created", "report-status", []vcs.RefUpdate{up("refs/heads/a", none, tip)}, emptyPack(), pkt("unpack ok", "ok refs/heads/a", "0000")},
		{"deleted", "report-status", []vcs.RefUpdate{up("refs/heads/a", tip, none)}, nil, pkt("unpack ok", "ok refs/heads/a", "0000")},
		{"no report", "", []vcs.RefUpdate{up("refs/heads/b", none, tip)}, emptyPack(), "0000"},
		{"gone already", "report-status-v2", []vcs.RefUpdate{up("refs/heads/gone", none, none)}, nil, pkt("unpack ok", "ok refs/heads/gone", "0000")},
		{"no change", "report-status", []vcs.RefUpdate{up("refs/heads/b", tip, tip)}, emptyPack(), pkt("unpack ok", "ok refs/heads/b", "0000")},
		{"two", "report-status atomic", []vcs.RefUpdate{up("refs/heads/c", none, tip), up("refs/heads/b", tip, none)}, emptyPack(),
			pkt("unpack ok", "ok refs/heads/c", "ok refs/heads/b", "0000")},
		{"stale", "report-status", []vcs.RefUpdate{up("refs/heads/c", vcs.ID{1}, none)}, nil, pkt("unpack ok", "ng refs/heads/c failed to update ref", "0000")},
		{"stale create", "report-status", []vcs.RefUpdate{up("refs/heads/c", none, tip)}, emptyPack(), pkt("unpack ok", "ng refs/heads/c failed to update ref", "0000")},
		{"stale no change", "report-status", []vcs.RefUpdate{up("refs/heads/zz", tip, tip)}, emptyPack(), pkt("unpack ok", "ng refs/heads/zz failed to update ref", "0000")},
		{"twice", "report-status", []vcs.RefUpdate{up("refs/heads/d", none, tip), up("refs/heads/d", none, tip)}, emptyPack(),
			pkt("unpack ok", "ng refs/heads/d failed to update ref", "ng refs/heads/d failed to update ref", "0000")},
		{"folder", "report-status", []vcs.RefUpdate{up("refs/heads/c/d", none, tip)}, emptyPack(), pkt("unpack ok", "ng refs/heads/c/d failed to update ref", "0000")},
		{"funny", "report-status", []vcs.RefUpdate{up("refs/heads/a..b", none, tip)}, emptyPack(), pkt("unpack ok", "ng refs/heads/a..b funny refname", "0000")},
		{"escape", "report-status", []vcs.RefUpdate{up("refs/../../x", none, tip)}, emptyPack(), pkt("unpack ok", "ng refs/../../x funny refname", "0000")},
		{"HEAD", "report-status", []vcs.RefUpdate{up("HEAD", none, tip)}, emptyPack(), pkt("unpack ok", "ng HEAD funny refname", "0000")},
		{"the store's own", "report-status", []vcs.RefUpdate{up("refs/arpeggio/log", none, tip)}, emptyPack(), pkt("unpack ok", "ng refs/arpeggio/log deny updating a hidden ref", "0000")},
		{"nowhere", "report-status", []vcs.RefUpdate{up("refs/heads/n", none, vcs.ID{9})}, emptyPack(), pkt("unpack ok", "ng refs/heads/n missing necessary objects", "0000")},
		{"no pack", "report-status", []vcs.RefUpdate{up("refs/heads/n", none, tip)}, nil, pkt("unpack early EOF after 0 bytes", "ng refs/heads/n unpacker error", "0000")},
		{"forbidden", "report-status", []vcs.RefUpdate{up("refs/heads/no", none, tip)}, emptyPack(), pkt("unpack ok", "ng refs/heads/no protected branch hook declined", "0000")},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, body, hdr := do(t, url, pushRequest(c.pack, c.caps, c.updates...)); body != c.want || hdr.Get("Content-Type") != typePushResult {
				t.Errorf("%q, want %q", body, c.want)
			}
		})
	}
	wantRef(t, s, "refs/heads/c", tip)
	// With side-band-64k: messages on band 2, the report on band 1.
	report := pkt("unpack ok", "ng refs/heads/no protected branch hook declined", "0000")
	want := frame("\x02error: refs/heads/no is protected\n") + frame("\x01"+report) + "0000"
	if _, body, _ := do(t, url, pushRequest(emptyPack(), "report-status side-band-64k", up("refs/heads/no", none, tip))); body != want {
		t.Errorf("%q, want %q", body, want)
	}
}

func frame(s string) string { return fmt.Sprintf("%04x%s", len(s)+4, s) }

// TestPushRefusals: what is no push at all.
func TestPushRefusals(t *testing.T) {
	h, s, url := pushServer(t, "*:all", func(c *Config) { c.MaxRequest = 8 << 10; c.MaxHaves = 1 })
	tip, _ := s.Ref("refs/heads/primary")
	good := fmt.Sprintf("%v %v refs/heads/x", vcs.ID{}, tip)
	header := func(r request, k, v string) request { r.header[k] = v; return r }
	before := state(t, s)
	for _, c := range []struct {
		name   string
		req    request
		status int
		text   string
		reason string
	}{
		{"content type", header(rawPush(pkt(good, "0000")), "Content-Type", typeRequest), 415, typePushRequest, reasonType},
		{"encoding", header(rawPush(pkt(good, "0000")), "Content-Encoding", "br"), 415, "gzip", reasonEncoding},
		{"method", request{method: "GET", path: "/git-receive-pack"}, 405, "POST", reasonMethod},
		{"framing", rawPush("zzzz"), 400, "pkt-line", reasonFraming},
		{"cut-off line", rawPush("0032xxx"), 400, "ends inside", reasonFraming},
		{"no flush", rawPush(pkt(good)), 400, "hung up", reasonFraming},
		{"delimiter", rawPush(pkt(good, "0001")), 200, "ERR unexpected delimiter", reasonSyntax},
		{"words", rawPush(pkt("hello world", "0000")), 200, "ERR protocol error: expected old/new/ref, got 'hello world'", reasonSyntax},
		{"no ref", rawPush(pkt(good[:82], "0000")), 200, "ERR protocol error", reasonSyntax},
		{"line feed in a name", rawPush(pkt(good+"\ny", "0000")), 200, "ERR protocol error", reasonSyntax},
		{"certificate", rawPush(pkt("push-cert\x00caps", "0000")), 200, "ERR protocol error", reasonSyntax},
		{"shallow", rawPush(pkt("shallow x", "0000")), 200, "expected shallow sha", reasonSyntax},
		{"many shallows", rawPush(pkt("shallow "+tip.String(), "shallow "+vcs.ID{1}.String(), "0000")), 200, "more than 1 'shallow'", reasonLimit},
		{"sha256", rawPush(pkt(good+"\x00object-format=sha256", "0000")), 200, "ERR mismatched object format", reasonSyntax},
		{"on the side band", rawPush(pkt(good+"\x00side-band-64k", "0001")), 200, "\x03unexpected delimiter", reasonSyntax},
		{"long commands", rawPush(pkt(good+strings.Repeat("x", 9000), "0000")), 200, "longer than 8192 bytes", reasonLimit},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := h.Stats().Refused[c.reason]
			status, body, _ := do(t, url, c.req)
			if status != c.status || !strings.Contains(body, c.text) {
				t.Errorf("answer %d %q, want %d with %q", status, body, c.status, c.text)
			}
			if h.Stats().Refused[c.reason] != n+1 {
				t.Errorf("not counted as %s: %v", c.reason, h.Stats().Refused)
			}
		})
	}
	for _, body := range []string{"0000", ""} { // probes
		if status, answer, _ := do(t, url, rawPush(body)); status != 200 || answer != "" {
			t.Errorf("%q gives %d %q", body, status, answer)
		}
	}
	if after := state(t, s); after != before || h.Stats().Failures != 0 {
		t.Errorf("refs are %s, were %s; %+v", after, before, h.Stats())
	}
}

// TestHostilePush: packs that a client would not make. Nothing of them reaches
// the store.
func TestHostilePush(t *testing.T) {
	h, s, url := pushServer(t, "*:all")
	r, ids := onTop(t, s, "hostile")
	tip, _ := s.Ref("refs/heads/primary")
	good := packOf(t, r, ids...)
	cut := func(n int) []byte { return good[:len(good)-n] }
	flip := func(at int) []byte { b := bytes.Clone(good); b[at] ^= 0x40; return b }
	who := "a <a@b> 1 +0000"
	add := func(k vcs.Kind, content string) vcs.ID { return r.put(k, []byte(content)) }
	_, blob, _ := r.ReadObject(ids[1])
	badTree := add(vcs.KindTree, "40000 .git\x00"+string(ids[1][:]))
	onBadTree := add(vcs.KindCommit, fmt.Sprintf("tree %v\nparent %v\nauthor %s\ncommitter %s\n\nm\n", badTree, tip, who, who))
	noParent := add(vcs.KindCommit, fmt.Sprintf("tree %v\nparent %v\nauthor %s\ncommitter %s\n\nm\n", vcs.EmptyTree, vcs.ID{7}, who, who))
	var bombs []vcs.ID
	for i := range 3 {
		bombs = append(bombs, add(vcs.KindBlob, strings.Repeat("\x00", 2<<20)+fmt.Sprint(i)))
	}
	before := state(t, s)
	for _, c := range []struct {
		name string
		tip  vcs.ID
		pack []byte
		want string
	}{
		{"cut off", ids[0], cut(5), "unpack early EOF"},
		{"checksum", ids[0], flip(len(good) - 3), "unpack pack is corrupted (SHA1 mismatch)"},
		{"signature", ids[0], flip(0), "unpack pack signature mismatch"},
		{"trailing", ids[0], append(bytes.Clone(good), "junk"...), "unpack pack has junk at the end"},
		{"count", ids[0], binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), 1<<30), "unpack pack exceeds maximum allowed size"},
		{"bombs", ids[0], packOf(t, r, bombs...), "unpack pack exceeds maximum allowed size"},
		{".git", onBadTree, packOf(t, r, onBadTree, badTree, ids[1]), "unpack object " + badTree.String()},
		{"lacks its tree", ids[0], packOf(t, r, ids[0]), "ng refs/heads/evil missing necessary objects"},
		{"lacks its parent", noParent, packOf(t, r, noParent), "ng refs/heads/evil missing necessary objects"},
		{"lacks the tip", vcs.ID{9}, good, "ng refs/heads/evil missing necessary objects"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, body, _ := do(t, url, pushRequest(c.pack, "report-status", vcs.RefUpdate{Name: "refs/heads/evil", New: c.tip}))
			if !strings.Contains(body, c.want) {
				t.Errorf("%q, want %q", body, c.want)
			}
		})
	}
	for id := range r.objects {
		if _, _, err := s.ReadObject(id); !errors.Is(err, vcs.ErrNotFound) {
			t.Errorf("%v is in the store: %v", id, err)
		}
	}
	if after := state(t, s); after != before || h.Stats().Failures != 0 || h.Stats().Received != 0 {
		t.Errorf("refs are %s, were %s; %+v", after, before, h.Stats())
	}
	// What is not led to is not stored, either.
	stray := add(vcs.KindBlob, "stray")
	_, body, _ := do(t, url, gzipped(pushRequest(packOf(t, r, append(ids, stray)...), "report-status", vcs.RefUpdate{Name: "refs/heads/good", New: ids[0]})))
	if !strings.Contains(body, "ok refs/heads/good") {
		t.Errorf("%q", body)
	}
	if _, _, err := s.ReadObject(stray); !errors.Is(err, vcs.ErrNotFound) {
		t.Errorf("an object that no ref leads to: %v", err)
	}
	if _, got, err := s.ReadObject(ids[1]); err != nil || !bytes.Equal(got, blob) {
		t.Errorf("an object that was pushed: %v", err)
	}
}

// TestClientDiesInItsPack: the connection breaks off at many places.
func TestClientDiesInItsPack(t *testing.T) {
	h, s, address := pushServer(t, "*:all")
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	r, ids := onTop(t, s, strings.Repeat("much to say\n", 100))
	q := pushRequest(packOf(t, r, ids...), "report-status side-band-64k", vcs.RefUpdate{Name: "refs/heads/new", New: ids[0]})
	before := state(t, s)
	for n := 0; n < len(q.body); n += 1 + len(q.body)/16 {
		c, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n", q.path, len(q.body))
		for k, v := range q.header {
			fmt.Fprintf(c, "%s: %s\r\n", k, v)
		}
		io.WriteString(c, "\r\n"+q.body[:n])
		c.Close()
	}
	// This one gets through, and comes after the others: one push at a time.
	if _, body, _ := do(t, address, pushRequest(emptyPack(), "report-status", vcs.RefUpdate{Name: "refs/heads/x", New: ids[0]})); !strings.Contains(body, "missing necessary objects") {
		t.Errorf("%q", body)
	}
	if after := state(t, s); after != before || h.Stats().Received != 0 {
		t.Errorf("refs are %s, were %s; %+v", after, before, h.Stats())
	}
}

// TestSilentPusher: a client that stops sending is cut off, and holds nobody up
// for longer.
func TestSilentPusher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTestRepo()
		r.chain(t, "primary", 1)
		grant := Grant{Allow: func(Update) error { return nil }}
		h := New(Config{Repository: r, Push: &PushConfig{
			Writer:    failing{},
			Authorize: func(*http.Request) (Grant, error) { return grant, nil }, ReadTimeout: 10 * time.Second}})
		l := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		srv := &http.Server{Handler: h}
		go srv.Serve(l)
		defer func() { srv.Close(); synctest.Wait() }()
		ours, theirs := net.Pipe()
		l.conns <- theirs
		q := pushRequest(nil, "report-status", vcs.RefUpdate{Name: "refs/heads/x", New: r.get("refs/heads/primary")})
		start := time.Now()
		fmt.Fprintf(ours, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 1000\r\n\r\n%s", q.path, typePushRequest, q.body)
		if _, err := http.ReadResponse(bufio.NewReader(ours), nil); err != nil {
			t.Fatal(err)
		}
		ours.Close()
		if took, st := time.Since(start), h.Stats(); took != 10*time.Second || st.Hangups != 1 || st.Failures != 0 {
			t.Errorf("after %v: %+v", took, st)
		}
	})
}

// failing is a Writer of a broken store.
type failing struct{}

func (failing) AddObjects(context.Context, []vcs.Object) error    { return errors.New("disk on fire") }
func (failing) UpdateRefs(context.Context, []vcs.RefUpdate) error { return errors.New("disk on fire") }

// TestWriterFails: the client hears that, and no more.
func TestWriterFails(t *testing.T) {
	h, s, url := pushServer(t, "*:all", func(c *Config) { c.Push.Writer = failing{} })
	r, ids := onTop(t, s, "x")
	tip, _ := s.Ref("refs/heads/primary")
	_, body, _ := do(t, url, pushRequest(packOf(t, r, ids...), "report-status", vcs.RefUpdate{Name: "refs/heads/x", New: ids[0]}))
	if want := pkt("unpack the repository cannot be used; the server's log says why", "ng refs/heads/x unpacker error", "0000"); body != want {
		t.Errorf("%q, want %q", body, want)
	}
	for _, caps := range []string{"report-status", "report-status atomic"} {
		if _, body, _ = do(t, url, pushRequest(emptyPack(), caps, vcs.RefUpdate{Name: "refs/heads/x", New: tip})); !strings.Contains(body, "ng refs/heads/x ") || strings.Contains(body, "fire") {
			t.Errorf("%q", body)
		}
	}
	if n := h.Stats().Failures; n != 3 {
		t.Errorf("%d failures", n)
	}
}

// FuzzPush feeds whole pushes to the handler: whatever comes, it answers, the
// store stays sound, and nothing counts as a failure of the store.
func FuzzPush(f *testing.F) {
	h, s, _ := pushServer(f, "*:all")
	tip, _ := s.Ref("refs/heads/primary")
	r, ids := onTop(f, s, "fuzz")
	pack := packOf(f, r, ids...)
	f.Add(pushRequest(pack, "report-status side-band-64k", vcs.RefUpdate{Name: "refs/heads/x", New: ids[0]}).body)
	f.Add(pushRequest(pack, "report-status atomic", vcs.RefUpdate{Name: "refs/heads/primary", Old: tip, New: ids[0]}).body)
	f.Add(pushRequest(nil, "report-status-v2", vcs.RefUpdate{Name: "refs/heads/x", Old: ids[0]}).body)
	f.Add(pkt("shallow "+tip.String(), "0000"))
	f.Fuzz(func(t *testing.T, body string) {
		before := h.Stats().Failures
		q := rawPush(body)
		req := httptest.NewRequest(q.method, q.path, strings.NewReader(q.body))
		for k, v := range q.header {
			req.Header.Set(k, v)
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		if rec.Code != http.StatusOK && rec.Code != http.StatusBadRequest {
			t.Errorf("status %d", rec.Code)
		}
		if h.Stats().Failures != before {
			t.Errorf("a push made the store fail: %q", rec.Body.String())
		}
		if _, ok := s.Ref("refs/heads/primary"); !ok {
			t.Error("primary is gone")
		}
	})
}

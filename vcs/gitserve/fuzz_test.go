package gitserve

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"arpeggio/vcs"
)

func FuzzPktReader(f *testing.F) {
	for _, s := range []string{"", "0000", "0001", "0002", "0003", "0004", "0005a", "000ahello\n", "fff0", "FFFF", "00", "zzzz"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := &pktReader{r: bytes.NewReader(b)}
		var back bytes.Buffer
		out := newPktWriter(&back)
		for {
			kind, line, err := in.next()
			if err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, errPktFraming) {
					t.Errorf("error %v", err)
				}
				break
			}
			switch kind {
			case pktData:
				out.linef("%s", line)
			case pktFlush:
				out.flush()
			case pktDelim:
				out.delim()
			}
		}
		if out.err != nil || back.Len() > len(b) {
			t.Errorf("%d bytes became %d, %v", len(b), back.Len(), out.err)
		}
	})
}

// FuzzRequests feeds whole request bodies to the handler: whatever comes, it
// answers, and no repository failure is reported.
func FuzzRequests(f *testing.F) {
	r := newTestRepo()
	ids := r.chain(f, "primary", 4)
	r.tag("v1", ids[1], vcs.KindCommit)
	h := New(Config{Repository: r, MaxRequest: 1 << 16})
	tip, old := ids[3].String(), ids[0].String()
	for _, s := range []string{
		pkt("command=ls-refs", "agent=x", "0001", "peel", "symrefs", "unborn", "ref-prefix refs/", "0000"),
		pkt("command=fetch", "0001", "want "+tip, "have "+old, "ofs-delta", "thin-pack", "include-tag", "0000"),
		pkt("command=fetch", "0001", "want "+tip, "deepen 2", "shallow "+old, "deepen-relative", "done", "0000"),
		pkt("command=fetch", "0001", "want "+tip, "deepen-since 1700000100", "deepen-not v1", "filter blob:limit=1k", "done", "0000"),
		pkt("want "+tip+" multi_ack_detailed side-band-64k no-done", "deepen 3", "0000", "have "+old, "0000"),
		pkt("want "+tip+" multi_ack side-band", "shallow "+old, "0000", "have "+old, "done"),
		pkt("want "+tip, "0000", "done"),
	} {
		f.Add(uint8(0), []byte(s))
		f.Add(uint8(2), []byte(s))
	}
	f.Fuzz(func(t *testing.T, v uint8, body []byte) {
		before := h.Stats().Failures
		q := post(int(v%3), string(body))
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
			t.Errorf("a request made the repository fail: %q", rec.Body.String())
		}
	})
}

func FuzzCommitNode(f *testing.F) {
	r := newTestRepo()
	id := r.chain(f, "primary", 2)[1]
	f.Add(r.objects[id].Content)
	f.Add([]byte("tree x\nparent y\n"))
	f.Add([]byte("committer > \n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := parseNode(b)
		if err != nil && !errors.Is(err, vcs.ErrBadObject) {
			t.Errorf("error %v", err)
		}
		// What the strict parser takes, this one reads the same way.
		if c, strict := vcs.ParseCommit(b); strict == nil {
			if err != nil || len(n.parents) != len(c.Parents) || n.time != c.Time().Unix() {
				t.Errorf("%+v, %v; want %+v", n, err, c)
			}
		}
	})
}

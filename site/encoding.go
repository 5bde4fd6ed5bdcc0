package site

import (
	"io/fs"
	"strings"
	"time"
)

// coding is a content coding for which a site may hold a compressed copy of a
// file beside the file.
type coding struct {
	token string // RFC 9110 §8.4.1, as in Content-Encoding
	ext   string
}

// codings in order of preference when a client likes several equally: smallest
// result first.
var codings = [...]coding{{"br", ".br"}, {"zstd", ".zst"}, {"gzip", ".gz"}}

// staleSlack is by how much a compressed copy may be older than its file. Tools
// that copy a site do not keep the order; an editor comes later than that.
const staleSlack = 2 * time.Second

// variant is one representation of a file.
type variant struct {
	coding coding // zero: the file itself
	name   string
	info   fs.FileInfo
}

// variants returns the representations of a file that the site holds: itself,
// and the compressed copies that are not older than it.
func (h *Handler) variants(name string, fi fs.FileInfo) []variant {
	vs := []variant{{name: name, info: fi}}
	if typeOf(name).dense {
		return vs
	}
	for _, c := range codings {
		ci, err := fs.Stat(h.fs, name+c.ext)
		if err != nil || !ci.Mode().IsRegular() {
			continue
		}
		if ci.ModTime().Add(staleSlack).Before(fi.ModTime()) {
			h.log.Debug("a compressed copy is older than its file and not used", "file", name+c.ext)
			continue
		}
		vs = append(vs, variant{coding: c, name: name + c.ext, info: ci})
	}
	return vs
}

// negotiate picks the representation that the client's Accept-Encoding likes
// best (RFC 9110 §12.5.3). vs[0] is the identity. When nothing is acceptable the
// identity is sent all the same, which §12.1 allows and 406 would not improve.
func negotiate(vs []variant, header []string) variant {
	if len(vs) == 1 || len(header) == 0 {
		return vs[0]
	}
	accept := parseAccept(header)
	best, bestQ := vs[0], accept.identity()
	for i := len(vs) - 1; i > 0; i-- { // backwards, so that >= lets the preferred one win
		if q := accept.quality(vs[i].coding.token); q > 0 && q >= bestQ {
			best, bestQ = vs[i], q
		}
	}
	return best
}

// acceptance is a parsed Accept-Encoding: weights in thousandths by coding.
type acceptance map[string]int

// parseAccept reads every field line of an Accept-Encoding header. An element
// that is not well formed is as if it were not there.
func parseAccept(header []string) acceptance {
	a := make(acceptance)
	for _, line := range header {
		for elem := range strings.SplitSeq(line, ",") {
			token, params, _ := strings.Cut(elem, ";")
			token = strings.ToLower(strings.Trim(token, " \t"))
			if token == "x-gzip" { // RFC 9110 §8.4.1.3
				token = "gzip"
			}
			q, ok := parseWeight(params)
			if token == "" || !ok {
				continue
			}
			a[token] = q
		}
	}
	return a
}

// parseWeight reads `q=0.5` (RFC 9110 §12.4.2) in thousandths; nothing means 1.
func parseWeight(s string) (int, bool) {
	s = strings.Trim(s, " \t")
	if s == "" {
		return 1000, true
	}
	if len(s) < 3 || s[0]|0x20 != 'q' || s[1] != '=' {
		return 0, false
	}
	s = s[2:]
	whole, frac, dot := strings.Cut(s, ".")
	if len(whole) != 1 || whole[0] > '1' || whole[0] < '0' || len(frac) > 3 || (dot && len(s) > 5) {
		return 0, false
	}
	q := int(whole[0]-'0') * 1000
	scale := 100
	for _, c := range []byte(frac) {
		if c < '0' || c > '9' {
			return 0, false
		}
		q += int(c-'0') * scale
		scale /= 10
	}
	return q, q <= 1000
}

// quality returns the weight of a coding; 0 is "not acceptable".
func (a acceptance) quality(token string) int {
	if q, ok := a[token]; ok {
		return q
	}
	return a["*"]
}

// identity returns the weight of sending the file itself, which is acceptable
// but liked least when the client does not speak of it.
func (a acceptance) identity() int {
	if q, ok := a["identity"]; ok {
		return q
	}
	return a["*"]
}

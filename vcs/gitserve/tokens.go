package gitserve

import (
	"bufio"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Tokens authorizes clients by secret tokens. Git presents one as the password
// of HTTP's basic authentication (any user name: https://x:TOKEN@host/…), other
// programs as a bearer token. Who can listen on the wire can read it: serve
// writers over TLS, a tunnel or loopback only.
//
// Tokens keeps only hashes and is safe for concurrent use.
type Tokens struct{ list []token }

type token struct {
	name  string
	sum   [sha256.Size]byte
	rules Rules
}

const (
	minToken     = 16
	maxTokens    = 1024
	maxTokenLine = 4096
)

// ErrTokens marks a token file that cannot be used.
var ErrTokens = errors.New("gitserve: bad token file")

// ReadTokens reads a token file: a line for each token, of at least 16
// characters without blanks, followed by rules as ParseRule reads them. Without
// rules a token may create and fast-forward branches and create tags. Empty
// lines and lines that begin with # do not count. The error wraps ErrTokens, and
// never quotes a token.
//
//	# the file of --write-token
//	2b1f9c7e5d3a48e6  refs/heads/primary:update  refs/heads/node/*:create,update,unrelated
//	c0ffee00c0ffee00c0ffee00  *:all
func ReadTokens(r io.Reader) (*Tokens, error) {
	t := new(Tokens)
	in := bufio.NewScanner(r)
	in.Buffer(nil, maxTokenLine)
	for n := 1; in.Scan(); n++ {
		f := strings.Fields(in.Text())
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		if len(f[0]) < minToken {
			return nil, fmt.Errorf("%w: line %d: the token is shorter than %d characters", ErrTokens, n, minToken)
		}
		if len(t.list) == maxTokens {
			return nil, fmt.Errorf("%w: more than %d tokens", ErrTokens, maxTokens)
		}
		k := token{name: fmt.Sprintf("token of line %d", n), sum: sha256.Sum256([]byte(f[0]))}
		if len(f) == 1 {
			f = append(f, "refs/heads/*:create,update", "refs/tags/*:create")
		}
		for _, s := range f[1:] {
			rule, err := ParseRule(s)
			if err != nil {
				return nil, fmt.Errorf("%w: line %d: %w", ErrTokens, n, err)
			}
			k.rules = append(k.rules, rule)
		}
		t.list = append(t.list, k)
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTokens, err)
	}
	if len(t.list) == 0 {
		return nil, fmt.Errorf("%w: it holds no token", ErrTokens)
	}
	return t, nil
}

// Authorize is a PushConfig's. It takes the same time whichever token it is, or
// none. The error wraps ErrUnauthorized.
func (t *Tokens) Authorize(r *http.Request) (Grant, error) {
	_, secret, ok := r.BasicAuth()
	if !ok {
		scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return Grant{}, ErrUnauthorized
		}
		secret = strings.TrimSpace(rest)
	}
	sum := sha256.Sum256([]byte(secret))
	found := -1
	for i := range t.list {
		eq := subtle.ConstantTimeCompare(sum[:], t.list[i].sum[:])
		found = subtle.ConstantTimeSelect(eq, i, found)
	}
	if found < 0 {
		return Grant{}, fmt.Errorf("%w: no such token", ErrUnauthorized)
	}
	k := t.list[found]
	return Grant{Name: k.name, Allow: k.rules.Allow}, nil
}

package gitserve_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"arpeggio/vcs"
	"arpeggio/vcs/gitserve"
	"arpeggio/vcs/mem"
)

// A store's history beside other pages of a web server.
func ExampleNew() {
	store, err := vcs.Open(context.Background(), mem.New(), vcs.Config[string, string]{})
	if err != nil {
		panic(err)
	}
	defer store.Close()

	mux := http.NewServeMux()
	mux.Handle("/arp.git/", gitserve.New(gitserve.Config{Repository: store.Store(), Prefix: "/arp.git"}))
	server := httptest.NewServer(mux)
	defer server.Close()

	// git clone URL/arp.git begins with this request.
	resp, err := http.Get(server.URL + "/arp.git/info/refs?service=git-upload-pack")
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	line := make([]byte, 30)
	if _, err := io.ReadFull(resp.Body, line); err != nil {
		panic(err)
	}
	fmt.Printf("%s %q\n", resp.Status, line)
	// Output: 200 OK "001e# service=git-upload-pack\n"
}

// A store that takes pushes: from one token to every node's own branch, from
// another to everything. git push URL then asks for it as the password.
func ExampleReadTokens() {
	store, err := vcs.Open(context.Background(), mem.New(), vcs.Config[string, string]{})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	tokens, err := gitserve.ReadTokens(strings.NewReader(`
		2b1f9c7e5d3a48e6b0aa  refs/heads/node/*:create,update,unrelated
		c0ffee00c0ffee00c0ff  *:all
	`))
	if err != nil {
		panic(err)
	}
	h := gitserve.New(gitserve.Config{
		Repository: store.Store(),
		Push:       &gitserve.PushConfig{Writer: store.Store(), Authorize: tokens.Authorize},
	})
	for _, token := range []string{"", "2b1f9c7e5d3a48e6b0aa"} {
		r := httptest.NewRequest("GET", "/info/refs?service=git-receive-pack", nil)
		if token != "" {
			r.SetBasicAuth("git", token)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// 401
	// 200
}

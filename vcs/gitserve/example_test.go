package gitserve_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

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

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// listenFor starts a receiver of events for a script, a web server or a syslog
// server on UDP, that writes what it gets to a file:
//
//	listen http|udp FILE VARIABLE    the variable gets its address
func listenFor(ts *testscript.TestScript, _ bool, args []string) {
	f, err := os.Create(ts.MkAbs(args[1]))
	ts.Check(err)
	var mu sync.Mutex
	write := func(line string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(f, line)
	}
	switch args[0] {
	case "http":
		srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			write(r.Header.Get("Authorization") + " " + string(b))
		}))
		ts.Defer(srv.Close)
		ts.Setenv(args[2], srv.URL)
	case "udp":
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		ts.Check(err)
		ts.Defer(func() { c.Close() })
		ts.Setenv(args[2], c.LocalAddr().String())
		go func() {
			b := make([]byte, 4096)
			for {
				n, _, err := c.ReadFrom(b)
				if err != nil {
					return
				}
				write(string(b[:n]))
			}
		}()
	}
}

// got waits until a file has a line that matches a regular expression.
func got(ts *testscript.TestScript, _ bool, args []string) {
	want := regexp.MustCompile("(?m)" + args[1])
	for end := time.Now().Add(testLimit); ; time.Sleep(10 * time.Millisecond) {
		b, err := os.ReadFile(ts.MkAbs(args[0]))
		ts.Check(err)
		if want.Match(b) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%s has no %s:\n%s", args[0], args[1], b)
		}
	}
}

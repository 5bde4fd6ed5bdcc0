package stack_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"arpeggio/stack/vnet"
)

// rough is a link that loses, delays and reorders. The tests below run in real time:
// the libraries hold mutexes while they write, on which a bubble would wait for ever.
var rough = vnet.PortConfig{Ingress: vnet.Impairment{Loss: 0.01, Delay: 2 * time.Millisecond, Jitter: time.Millisecond}}

// net/http, in both versions and both directions at once, over a rough link.
func TestHTTPVersions(t *testing.T) {
	const streams, size = 8, 128 << 10
	for _, v := range []struct {
		proto string
		tls   bool
	}{{"HTTP/1.1", false}, {"HTTP/1.1", true}, {"HTTP/2.0", true}} {
		t.Run(fmt.Sprint(v.proto, " TLS ", v.tls), func(t *testing.T) {
			cert, pool := identity()
			l := newLAN(t, 2, rough)
			defer l.close()
			ln, err := l.stacks[1].Listen("tcp", ":443")
			if err != nil {
				t.Fatal(err)
			}
			server := &http.Server{
				TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
				Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Proto != v.proto {
						http.Error(w, r.Proto, http.StatusHTTPVersionNotSupported)
						return
					}
					body, err := io.ReadAll(r.Body) // all of it, as HTTP/1.1 needs
					if err != nil {
						t.Error(err)
					}
					w.Write(body)
				}),
			}
			if v.proto != "HTTP/2.0" {
				server.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
			}
			done := make(chan error, 1)
			scheme := "http"
			if v.tls {
				scheme = "https"
				go func() { done <- server.ServeTLS(ln, "", "") }()
			} else {
				go func() { done <- server.Serve(ln) }()
			}
			transport := &http.Transport{
				DialContext: l.stacks[0].DialContext, TLSClientConfig: &tls.Config{RootCAs: pool},
				ForceAttemptHTTP2: v.proto == "HTTP/2.0",
			}
			client := http.Client{Transport: transport, Timeout: 10 * time.Minute}
			// As long as none is open, net/http dials a connection for every request.
			if err := roundTrip(&client, scheme+"://10.0.0.2:443/", 0, 1); err != nil {
				t.Fatal(err)
			}
			errs := make(chan error, streams)
			for n := range streams {
				go func() { errs <- roundTrip(&client, scheme+"://10.0.0.2:443/", uint64(n), size) }()
			}
			for range streams {
				if err := <-errs; err != nil {
					t.Error(err)
				}
			}
			if n := len(l.stacks[0].Conns()); v.proto == "HTTP/2.0" && n != 1 {
				t.Errorf("%d connections for one client of HTTP/2", n)
			}
			transport.CloseIdleConnections()
			if err := server.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
			if err := <-done; err != http.ErrServerClosed {
				t.Error(err)
			}
		})
	}
}

// roundTrip sends a body and compares what comes back.
func roundTrip(client *http.Client, url string, seed uint64, size int64) error {
	resp, err := client.Post(url, "application/octet-stream", stream(seed, size))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", resp.Status)
	}
	return same(resp.Body, seed, size)
}

// crypto/tls with certificates on both sides, half-close, and a peer that is cut
// off in the middle.
func TestTLS(t *testing.T) {
	cert, pool := identity()
	l := newLAN(t, 2, rough)
	defer l.close()
	c, s := l.connect()
	client := tls.Client(c, &tls.Config{RootCAs: pool, ServerName: "bob", Certificates: []tls.Certificate{cert}})
	server := tls.Server(s, &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool})
	const size = 1 << 20
	go func() {
		io.Copy(server, server) // ends with the client's close_notify
		server.CloseWrite()
	}()
	go func() {
		io.Copy(client, stream(1, size))
		client.CloseWrite()
	}()
	if err := same(client, 1, size); err != nil {
		t.Error(err)
	}
	client.Close()
	server.Close()

	c, s = l.connect()
	client = tls.Client(c, &tls.Config{RootCAs: pool, ServerName: "bob"})
	server = tls.Server(s, &tls.Config{Certificates: []tls.Certificate{cert}})
	go io.WriteString(server, "whole")
	if _, err := io.ReadFull(client, make([]byte, 5)); err != nil {
		t.Error(err)
	}
	s.SetLinger(0)
	s.Close()
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after a reset: %v", err)
	}
	client.Close()
}

// golang.org/x/crypto/ssh: commands with input and output, and forwarded
// connections, all on one connection over a rough link.
func TestSSH(t *testing.T) {
	key := sshKey()
	l := newLAN(t, 3, rough)
	defer l.close()
	ln, err := l.stacks[1].Listen("tcp", ":22")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go serveSSH(ln, key, "alice", "sesame", func(command string, c ssh.Channel) uint32 {
		if command == "cat" {
			io.Copy(c, c)
			return 0
		}
		fmt.Fprintf(c.Stderr(), "%s: not found", command)
		return 127
	}, l.stacks[1].Dial)
	web, err := l.stacks[2].Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	go func() {
		for {
			c, err := web.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(c, c); c.Close() }()
		}
	}()

	dial := func(password string) (*ssh.Client, error) {
		conn, err := l.stacks[0].Dial("tcp", "10.0.0.2:22")
		if err != nil {
			t.Fatal(err)
		}
		sc, channels, requests, err := ssh.NewClientConn(conn, "bob", &ssh.ClientConfig{
			User: "alice", Auth: []ssh.AuthMethod{ssh.Password(password)}, HostKeyCallback: ssh.FixedHostKey(key.PublicKey()),
		})
		if err != nil {
			return nil, err
		}
		return ssh.NewClient(sc, channels, requests), nil
	}
	if _, err := dial("guess"); err == nil {
		t.Error("let in with a wrong password")
	}
	client, err := dial("sesame")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	const size = 512 << 10
	errs := make(chan error, 6)
	for n := range 3 {
		go func() { errs <- cat(client, uint64(n), size) }()
		go func() { errs <- through(client, "10.0.0.3:80", uint64(n), size) }()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	session.Stderr = &said
	err = session.Run("rm")
	if ee, ok := err.(*ssh.ExitError); !ok || ee.ExitStatus() != 127 || said.String() != "rm: not found" {
		t.Errorf("%v, %q", err, said.String())
	}
	if _, err := client.Dial("tcp", "10.0.0.3:81"); err == nil {
		t.Error("forwarded to a closed port")
	}
}

// cat sends a stream through a command and compares what comes back.
func cat(client *ssh.Client, seed uint64, size int64) error {
	session, err := client.NewSession()
	if err != nil {
		return err
	}
	defer session.Close()
	session.Stdin = stream(seed, size)
	out, err := session.Output("cat")
	if err != nil {
		return err
	}
	return same(bytes.NewReader(out), seed, size)
}

// through sends a stream to an echo server beyond the SSH server.
func through(client *ssh.Client, address string, seed uint64, size int64) error {
	c, err := client.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	go func() {
		io.Copy(c, stream(seed, size))
		c.(interface{ CloseWrite() error }).CloseWrite()
	}()
	return same(c, seed, size)
}

package stack_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"log"
	"net"

	"golang.org/x/crypto/ssh"
)

// sshKey makes a key.
func sshKey() ssh.Signer {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		panic(err)
	}
	return signer
}

// serveSSH lets user in by password, runs each command by run, and connects to what
// clients ask for by dial.
func serveSSH(ln net.Listener, key ssh.Signer, user, password string,
	run func(command string, c ssh.Channel) (status uint32), dial func(network, address string) (net.Conn, error)) {
	cfg := &ssh.ServerConfig{PasswordCallback: func(c ssh.ConnMetadata, pw []byte) (*ssh.Permissions, error) {
		if c.User() != user || string(pw) != password {
			return nil, fmt.Errorf("no")
		}
		return nil, nil
	}}
	cfg.AddHostKey(key)
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			_, channels, requests, err := ssh.NewServerConn(conn, cfg)
			if err != nil {
				return
			}
			go ssh.DiscardRequests(requests)
			for n := range channels {
				switch n.ChannelType() {
				case "session":
					go serveSession(n, run)
				case "direct-tcpip":
					go forward(n, dial)
				default:
					n.Reject(ssh.UnknownChannelType, "no")
				}
			}
		}()
	}
}

func serveSession(n ssh.NewChannel, run func(string, ssh.Channel) uint32) {
	c, requests, err := n.Accept()
	if err != nil {
		return
	}
	defer c.Close()
	for r := range requests {
		var exec struct{ Command string }
		if r.Type != "exec" || ssh.Unmarshal(r.Payload, &exec) != nil {
			r.Reply(false, nil)
			continue
		}
		r.Reply(true, nil)
		status := run(exec.Command, c)
		c.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
		return
	}
}

func forward(n ssh.NewChannel, dial func(network, address string) (net.Conn, error)) {
	var to struct {
		Host       string
		Port       uint32
		Origin     string
		OriginPort uint32
	}
	if ssh.Unmarshal(n.ExtraData(), &to) != nil {
		n.Reject(ssh.ConnectionFailed, "bad request")
		return
	}
	peer, err := dial("tcp", net.JoinHostPort(to.Host, fmt.Sprint(to.Port)))
	if err != nil {
		n.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	defer peer.Close()
	c, requests, err := n.Accept()
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	go func() {
		io.Copy(peer, c)
		peer.(interface{ CloseWrite() error }).CloseWrite()
	}()
	io.Copy(c, peer)
	c.Close()
}

// An SSH client and server, each on its own stack.
func Example_ssh() {
	alice, bob, stop := twoHosts()
	defer stop()
	ln, err := bob.Listen("tcp", ":22")
	if err != nil {
		log.Fatal(err)
	}
	key := sshKey()
	go serveSSH(ln, key, "alice", "sesame", func(command string, c ssh.Channel) uint32 {
		fmt.Fprintf(c, "you said %q", command)
		return 0
	}, bob.Dial)

	conn, err := alice.Dial("tcp", "10.0.0.2:22")
	if err != nil {
		log.Fatal(err)
	}
	sc, channels, requests, err := ssh.NewClientConn(conn, "bob", &ssh.ClientConfig{
		User: "alice", Auth: []ssh.AuthMethod{ssh.Password("sesame")}, HostKeyCallback: ssh.FixedHostKey(key.PublicKey()),
	})
	if err != nil {
		log.Fatal(err)
	}
	client := ssh.NewClient(sc, channels, requests)
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		log.Fatal(err)
	}
	out, err := session.Output("hello")
	fmt.Println(string(out), err)
	// Output: you said "hello" <nil>
}

package gitremote

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// sshServer runs stock git's upload-pack behind an SSH server on loopback that
// knows one key, and returns its address. The client's configuration is set up
// to trust it.
func sshServer(t *testing.T, client ssh.PublicKey) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	_, key := sshKey(t)
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cfg := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
		if string(k.Marshal()) != string(client.Marshal()) {
			return nil, errors.New("unknown key")
		}
		return nil, nil
	}}
	cfg.AddHostKey(signer)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serveSSH(c, cfg)
		}
	}()
	hosts := filepath.Join(t.TempDir(), "known_hosts")
	line := knownhosts.Line([]string{l.Addr().String()}, signer.PublicKey())
	if err := os.WriteFile(hosts, []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSH_KNOWN_HOSTS", hosts)
	return l.Addr().String()
}

func serveSSH(c net.Conn, cfg *ssh.ServerConfig) {
	conn, chans, reqs, err := ssh.NewServerConn(c, cfg)
	if err != nil {
		c.Close()
		return
	}
	defer conn.Close()
	go ssh.DiscardRequests(reqs)
	for nc := range chans {
		ch, reqs, err := nc.Accept()
		if err != nil {
			return
		}
		for req := range reqs {
			if req.Type != "exec" {
				req.Reply(false, nil)
				continue
			}
			req.Reply(true, nil)
			cmd := exec.Command("sh", "-c", string(req.Payload[4:]))
			cmd.Stdout, cmd.Stderr = ch, ch.Stderr()
			status := struct{ Code uint32 }{128}
			// Not cmd.Stdin: Wait would wait for the client to hang up.
			if in, err := cmd.StdinPipe(); err == nil && cmd.Start() == nil {
				go func() {
					io.Copy(in, ch)
					in.Close()
				}()
				if cmd.Wait() == nil {
					status.Code = 0
				}
			}
			ch.SendRequest("exit-status", false, ssh.Marshal(status))
			ch.Close()
			break
		}
	}
}

func sshKey(t *testing.T) (ssh.PublicKey, ed25519.PrivateKey) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pub, key
}

func writeKey(t *testing.T, key ed25519.PrivateKey) string {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "id")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestFetchSSH(t *testing.T) {
	pub, key := sshKey(t)
	addr := sshServer(t, pub)
	id := writeKey(t, key)
	r := newStore(t)
	write(t, r, "primary", 0, 5)
	src, dir := t.TempDir(), t.TempDir()
	snapshot(t, src, r.Store())
	url := fmt.Sprintf("ssh://git@%s%s", addr, src)
	for range 2 {
		if _, err := Fetch(t.Context(), url, dir, RemoteOptions{SSHKeyFile: id}); err != nil {
			t.Fatal(err)
		}
		check(t, dir, r.Store())
		write(t, r, "primary", 5, 5)
		snapshot(t, src, r.Store())
	}

	_, stranger := sshKey(t)
	if _, err := Fetch(t.Context(), url, dir, RemoteOptions{SSHKeyFile: writeKey(t, stranger)}); !errors.Is(err, ErrPermission) {
		t.Errorf("a stranger's key: %v", err)
	}
	if _, err := Fetch(t.Context(), url+"/none", dir, RemoteOptions{SSHKeyFile: id}); !errors.Is(err, ErrNoRemoteRepository) {
		t.Errorf("no such repository: %v", err)
	}
	if err := os.WriteFile(os.Getenv("SSH_KNOWN_HOSTS"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Fetch(t.Context(), url, dir, RemoteOptions{SSHKeyFile: id}); err == nil || !strings.Contains(err.Error(), "key is unknown") {
		t.Errorf("an unknown host: %v", err)
	}
}

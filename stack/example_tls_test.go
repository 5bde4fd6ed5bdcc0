package stack_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/vnet"
)

// twoHosts plugs alice, 10.0.0.1, and bob, 10.0.0.2, into a new switch.
func twoHosts() (alice, bob *stack.Stack, stop func()) {
	sw := vnet.New(vnet.Config{})
	neighbours := stack.StaticResolver{
		netip.MustParseAddr("10.0.0.1"): ethernet.MustParseAddr("02:00:00:00:00:01"),
		netip.MustParseAddr("10.0.0.2"): ethernet.MustParseAddr("02:00:00:00:00:02"),
	}
	alice = host(sw, "alice", "10.0.0.1/24", neighbours, "02:00:00:00:00:01")
	bob = host(sw, "bob", "10.0.0.2/24", neighbours, "02:00:00:00:00:02")
	return alice, bob, func() {
		alice.Close()
		bob.Close()
		sw.Close()
	}
}

// identity makes a certificate for bob, 10.0.0.2, and who believes in it.
func identity() (tls.Certificate, *x509.CertPool) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bob"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"bob"}, IPAddresses: []net.IP{net.IPv4(10, 0, 0, 2)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, pool
}

// TLS on both ends.
func Example_tls() {
	alice, bob, stop := twoHosts()
	defer stop()
	cert, pool := identity()

	ln, err := bob.Listen("tcp", ":443")
	if err != nil {
		log.Fatal(err)
	}
	secure := tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}})
	go func() {
		c, err := secure.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		io.WriteString(c, "for your eyes only")
	}()

	raw, err := alice.Dial("tcp", "10.0.0.2:443")
	if err != nil {
		log.Fatal(err)
	}
	c := tls.Client(raw, &tls.Config{RootCAs: pool, ServerName: "bob"})
	defer c.Close()
	text, err := io.ReadAll(c)
	fmt.Println(string(text), err, c.ConnectionState().Version == tls.VersionTLS13)
	// Output: for your eyes only <nil> true
}

// HTTP/2 over TLS, which package net/http speaks on any net.Conn.
func Example_http2() {
	alice, bob, stop := twoHosts()
	defer stop()
	cert, pool := identity()

	ln, err := bob.Listen("tcp", ":443")
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s says %s", r.Host, r.Proto)
		}),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
	}
	go server.ServeTLS(ln, "", "")
	defer server.Close()

	client := http.Client{Transport: &http.Transport{
		DialContext: alice.DialContext, TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true,
	}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("https://10.0.0.2/")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Println(string(body), err)
	// Output: 10.0.0.2 says HTTP/2.0 <nil>
}

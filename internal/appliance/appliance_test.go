package appliance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/arp/versioned"
	"arpeggio/internal/node"
	"arpeggio/internal/recording"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/host"
	"arpeggio/stack/link"
	"arpeggio/stack/vnet"
	"arpeggio/tuntap"
	"arpeggio/vcs"
	"arpeggio/vcs/gitremote"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

var (
	ownNet  = netip.MustParsePrefix("10.9.0.2/24")
	peerNet = netip.MustParsePrefix("10.9.0.1/24")
)

// bench is a switch with a port for the appliance, and a peer to call from.
type bench struct {
	t    *testing.T
	port *vnet.Port
	peer *node.Node
}

// newBench is for use inside a bubble, which also finds every goroutine that an
// appliance leaves behind.
func newBench(t *testing.T) *bench {
	t.Helper()
	sw := vnet.New(vnet.Config{})
	t.Cleanup(func() { sw.Close() })
	b := &bench{t: t}
	var err error
	if b.port, err = sw.Port(vnet.PortConfig{Name: "appliance"}); err != nil {
		t.Fatal(err)
	}
	port, err := sw.Port(vnet.PortConfig{Name: "peer"})
	if err != nil {
		t.Fatal(err)
	}
	if b.peer, err = node.Start(node.Config{Device: port, Addresses: []netip.Prefix{peerNet}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.peer.Close() })
	return b
}

// start starts an appliance with a fixed address; the test's end closes it.
func (b *bench) start(cfg Config) *Appliance {
	b.t.Helper()
	cfg.Device = b.port
	if !cfg.Address.IsValid() {
		cfg.Address = ownNet
	}
	a, err := Start(b.t.Context(), cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { a.Close(context.Background()) })
	return a
}

// request asks the appliance from the peer.
func (b *bench) request(method, url string, body io.Reader) (status int, text string, err error) {
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return b.peer.Stack.DialContext(ctx, network, addr)
		},
		DisableKeepAlives: true,
	}}
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		return 0, "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(all), err
}

// wait returns what c delivers within d.
func wait[T any](t *testing.T, c <-chan T, d time.Duration) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(d):
		t.Fatalf("nothing within %v", d)
	}
	return v
}

func (b *bench) closed() bool {
	_, err := b.port.ReadFrames(make([]link.Frame, 1))
	return errors.Is(err, link.ErrClosed)
}

// The management address tells who is on the network: it is off unless asked for.
func TestManagementIsOffByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		a := b.start(Config{})
		if code, _, err := b.request("GET", a.URLs()["site"], nil); err != nil || code != http.StatusOK {
			t.Errorf("site: %d, %v", code, err)
		}
		if u := a.URLs(); len(u) != 1 {
			t.Errorf("URLs %v", u)
		}
		for _, port := range []int{8081, 8080, 443} {
			if _, _, err := b.request("GET", fmt.Sprintf("http://10.9.0.2:%d/", port), nil); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("port %d: %v, want a refusal", port, err)
			}
		}
		for _, path := range []string{"arp.git/info/refs", "metrics", "api/neighbors", "healthz"} {
			if code, _, err := b.request("GET", a.URLs()["site"]+path, nil); err != nil || code != http.StatusNotFound {
				t.Errorf("/%s on the site's address: %d, %v", path, code, err)
			}
		}
	})
}

func TestManagement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		f, err := recording.Create(filepath.Join(t.TempDir(), "r.pcapng"), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		notes := recording.Start(f)
		defer notes.Close()
		a := b.start(Config{Manage: 8081, Recording: notes, DeviceStats: func() tuntap.Stats { return tuntap.Stats{TxDropped: 7} }})
		for path, want := range map[string]string{
			"": "10.9.0.1", "metrics": `arpeggio_commit_seconds_bucket{le="10"} `, "metrics?": "arpeggio_tcp_curr_estab 1\n", "metrics?again": "arpeggio_device_tx_dropped_total 7\n",
			"metrics?more": "arpeggio_recording_frames_dropped_total 0\n", "api/neighbors": `"10.9.0.1"`, "healthz": "ok",
			"arp.git/info/refs?service=git-upload-pack": "refs/heads/primary",
		} {
			time.Sleep(time.Second) // the connection of the last request is over
			code, text, err := b.request("GET", a.URLs()["management"]+path, nil)
			if err != nil || code != http.StatusOK || !strings.Contains(text, want) {
				t.Errorf("/%s: %d, %v, want %q in %q", path, code, err, want, text)
			}
		}
	})
}

func TestSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		a := b.start(Config{Sink: "/sink"})
		sink := a.URLs()["site"] + "sink"
		if code, _, err := b.request("POST", sink, strings.NewReader(strings.Repeat("x", 3<<20))); err != nil || code != http.StatusNoContent {
			t.Errorf("POST: %d, %v", code, err)
		}
		if code, _, err := b.request("GET", sink, nil); err != nil || code != http.StatusNotFound {
			t.Errorf("GET: %d, %v", code, err)
		}
		if code, _, err := b.request("POST", a.URLs()["site"], nil); err != nil || code != http.StatusMethodNotAllowed {
			t.Errorf("POST elsewhere: %d, %v", code, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		a := b.start(Config{})
		if code, _, err := b.request("POST", a.URLs()["site"]+"sink", strings.NewReader("x")); err != nil || code == http.StatusNoContent {
			t.Errorf("POST without a sink: %d, %v", code, err)
		}
	})
}

// entries counts the live entries at the head of a store.
func entries(t *testing.T, s *vcs.Store) int {
	t.Helper()
	table, err := versioned.Open(t.Context(), s, versioned.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	return len(table.Entries())
}

// What was learnt an instant before Close is in the store and in the snapshot.
func TestCloseFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, dir := newBench(t), t.TempDir()
		backend, err := gitremote.CreateDir(filepath.Join(dir, "store"), vcs.BranchRef(versioned.Primary))
		if err != nil {
			t.Fatal(err)
		}
		a := b.start(Config{Backend: backend, SnapshotDir: filepath.Join(dir, "snapshot")})
		if _, err := b.peer.Stack.Ping(t.Context(), ownNet.Addr(), 8); err != nil {
			t.Fatal(err)
		}
		if err := a.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := a.Close(t.Context()); err != nil {
			t.Errorf("second Close: %v", err)
		}
		for _, name := range []string{"store", "snapshot"} {
			d, err := gitremote.OpenDir(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			s, err := vcs.OpenStore(t.Context(), d, vcs.StoreConfig{})
			if err != nil {
				t.Fatal(err)
			}
			if n := entries(t, s); n != 1 {
				t.Errorf("the %s has %d entries, want the peer's", name, n)
			}
			s.Close()
		}
	})
}

// Close lets a request finish, gives one up that does not, and waits neither for
// an idle connection nor for a reader of the live page.
func TestCloseDrains(t *testing.T) {
	for name, c := range map[string]struct {
		open     string // what the peer sends to the port
		port     uint16
		from, to time.Duration // Close takes
	}{
		"nothing sent":   {"", 80, 0, drainLimit},
		"live page":      {"GET /events HTTP/1.1\r\nHost: 10.9.0.2\r\n\r\n", 8081, 0, 2 * time.Second},
		"endless upload": {"POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx", 80, drainLimit, drainLimit + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				a := b.start(Config{Manage: 8081, Sink: "/sink"})
				conn, err := b.peer.Stack.DialContext(t.Context(), "tcp", netip.AddrPortFrom(ownNet.Addr(), c.port).String())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				io.WriteString(conn, c.open)
				time.Sleep(3 * time.Second)
				start := time.Now()
				if err := a.Close(context.Background()); err != nil {
					t.Error(err)
				}
				if d := time.Since(start); d < c.from || d > c.to {
					t.Errorf("Close took %v, want %v to %v", d, c.from, c.to)
				}
				if !b.closed() {
					t.Error("the device is still open")
				}
			})
		})
	}
}

// closer notes that a backend was closed.
type closer struct {
	*vcstest.Faulty
	closed int
}

func (c *closer) Close() error {
	c.closed++
	return c.Faulty.Close()
}

// A start that fails, wherever, closes device and backend and leaves no
// goroutine behind.
func TestFailedStart(t *testing.T) {
	for name, c := range map[string]struct {
		fail func(*vcstest.Faulty)
		cfg  Config
		want string
	}{
		"store":     {func(f *vcstest.Faulty) { f.FailLoad(vcstest.ErrInjected) }, Config{Address: ownNet}, "store"},
		"address":   {nil, Config{Address: netip.MustParsePrefix("10.9.0.255/24")}, "10.9.0.255"},
		"gateway":   {nil, Config{Address: ownNet, Gateways: []netip.Addr{netip.MustParseAddr("10.9.0.77"), netip.MustParseAddr("192.0.2.1")}}, "192.0.2.1"},
		"MAC":       {nil, Config{Address: ownNet, MAC: ethernet.Broadcast}, "ff:ff:ff:ff:ff:ff"},
		"same port": {nil, Config{Address: ownNet, Port: 80, Manage: 80}, "in use"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				backend := &closer{Faulty: vcstest.NewFaulty(mem.New())}
				if c.fail != nil {
					c.fail(backend.Faulty)
				}
				c.cfg.Device, c.cfg.Backend = b.port, backend
				a, err := Start(t.Context(), c.cfg)
				if err == nil {
					a.Close(t.Context())
				}
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("error %v, want one about %q", err, c.want)
				}
				if !b.closed() || backend.closed != 1 {
					t.Errorf("device closed %v, backend closed %d times", b.closed(), backend.closed)
				}
			})
		})
	}
}

// A start that is called off while it waits for DHCP ends at once.
func TestCalledOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		if _, err := Start(ctx, Config{Device: b.port}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if d := time.Since(start); d != 5*time.Second {
			t.Errorf("it took %v", d)
		}
	})
}

// An appliance whose card is gone serves nobody and says so.
func TestCardIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		a := b.start(Config{})
		b.port.Close()
		if err := wait(t, a.Failed(), time.Second); !errors.Is(err, link.ErrClosed) {
			t.Errorf("failed with %v", err)
		}
		if err := a.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// An offered address that another station uses is declined (RFC 2131 §4.4.1),
// and the next one taken.
func TestOfferedAddressInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		taken, free := ownNet.Addr(), ownNet.Addr().Next()
		if err := b.peer.Interface.AddAddress(ownNet); err != nil {
			t.Fatal(err)
		}
		s, err := host.NewDHCPServer(host.DHCPServerConfig{Stack: b.peer.Stack, Interface: b.peer.Interface, First: taken, Last: free})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		a, err := Start(t.Context(), Config{Device: b.port})
		if err != nil {
			t.Fatal(err)
		}
		if as := a.Addresses(); len(as) != 1 || as[0].Addr() != free || s.Refused()["declined"] != 1 {
			t.Errorf("addresses %v, server %v", as, s.Refused())
		}
		if err := a.Close(t.Context()); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A lease that ends takes the address with it; the next server brings it back,
// and nothing has to be started again.
func TestLeaseIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		serve := func() (stop func()) {
			s, err := host.NewDHCPServer(host.DHCPServerConfig{
				Stack: b.peer.Stack, Interface: b.peer.Interface, Lease: time.Minute,
				Reserved: map[ethernet.Addr]netip.Addr{b.port.Info().Addr: ownNet.Addr()},
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error)
			go func() { done <- s.Run(ctx) }()
			return func() {
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		}
		stop := serve()
		a, err := Start(t.Context(), Config{Device: b.port, Manage: 8081})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close(t.Context())
		site := a.URLs()["site"]
		if as := a.Addresses(); len(as) != 1 || as[0] != ownNet {
			t.Fatalf("addresses %v", as)
		}
		stop()
		time.Sleep(2 * time.Minute)
		if as := a.Addresses(); len(as) != 1 || !as[0].Addr().IsLinkLocalUnicast() {
			t.Errorf("after the lease: addresses %v, URLs %v, health %v", as, a.URLs(), a.health())
		}
		stop = serve()
		defer stop()
		time.Sleep(3 * time.Minute)
		if code, _, err := b.request("GET", site, nil); err != nil || code != http.StatusOK || a.health() != nil {
			t.Errorf("with the next lease: %d, %v, health %v", code, err, a.health())
		}
		select {
		case err := <-a.Failed():
			t.Errorf("failed: %v", err)
		default:
		}
	})
}

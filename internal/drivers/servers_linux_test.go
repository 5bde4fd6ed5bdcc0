package drivers_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/internal/netns"
	"arpeggio/stack"
	"arpeggio/tuntap"

	"github.com/go-sql-driver/mysql"
	"github.com/gomodule/redigo/redis"
	"github.com/lib/pq"
)

// serverUp is how long a server may take to start, on a busy machine.
const serverUp = 2 * time.Minute

// machine is a kernel, 10.9.0.1, on which real servers run, and our stack,
// 10.9.0.2, on the other end of its TAP.
type machine struct {
	t   *testing.T
	ns  *netns.Namespace
	dir string
	s   *stack.Stack
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	ns, err := netns.New()
	if errors.Is(err, netns.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	m := &machine{t: t, ns: ns, s: stack.New(stack.Config{})}
	t.Cleanup(func() { m.s.Close() })
	var tap *tuntap.TAP
	if err := ns.Do(func() (err error) {
		tap, err = tuntap.OpenTAP(tuntap.TAPConfig{Name: "tap0", Up: true})
		return err
	}); err != nil {
		t.Skipf("cannot open a TAP: %v", err)
	}
	if err := ns.IP("addr", "add", "10.9.0.1/24", "dev", "tap0"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.s.AddInterface(stack.InterfaceConfig{
		Device: tap, Resolver: arp.NewService(arp.Config{}), Addresses: []netip.Prefix{netip.MustParsePrefix("10.9.0.2/24")},
	}); err != nil {
		t.Fatal(err)
	}
	// Servers that give up root must find their way to their files.
	if m.dir, err = os.MkdirTemp("", "servers"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(m.dir) })
	if err := os.Chmod(m.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return m
}

// find returns the path of a program, or skips the test.
func (m *machine) find(names ...string) string {
	m.t.Helper()
	for _, name := range names {
		if found, _ := filepath.Glob(name); len(found) > 0 {
			return found[len(found)-1]
		}
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	m.t.Skipf("%s is not installed", names[0])
	return ""
}

// command makes a command that runs in the namespace's file system folder as
// another user, with its words in *out.
func (m *machine) command(as string, out *bytes.Buffer, name string, args ...string) *exec.Cmd {
	m.t.Helper()
	u, err := user.Lookup(as)
	if err != nil {
		m.t.Skip(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = m.dir, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return cmd
}

// run runs a command to its end.
func (m *machine) run(as, name string, args ...string) {
	m.t.Helper()
	var out bytes.Buffer
	if err := m.command(as, &out, name, args...).Run(); err != nil {
		m.t.Fatalf("%s: %v\n%s", name, err, out.Bytes())
	}
}

// start starts a server, and ends it with the test.
func (m *machine) start(as, name string, args ...string) {
	m.t.Helper()
	var out bytes.Buffer
	cmd := m.command(as, &out, name, args...)
	if err := m.ns.Do(cmd.Start); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(serverUp, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		_ = cmd.Wait()
		if m.t.Failed() {
			m.t.Logf("%s:\n%s", name, out.Bytes())
		}
	})
}

// eventually repeats f until it succeeds.
func (m *machine) eventually(f func() error) {
	m.t.Helper()
	for end := time.Now().Add(serverUp); ; time.Sleep(50 * time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			m.t.Fatal(err)
		}
	}
}

func TestRealPostgres(t *testing.T) {
	m := newMachine(t)
	initdb, postgres := m.find("initdb", "/usr/lib/postgresql/*/bin/initdb"), m.find("postgres", "/usr/lib/postgresql/*/bin/postgres")
	data := filepath.Join(m.dir, "data")
	m.run("postgres", initdb, "-D", data, "-A", "trust", "-N")
	hba, err := os.OpenFile(filepath.Join(data, "pg_hba.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(hba, "host all all 10.9.0.2/32 trust")
	if err := hba.Close(); err != nil {
		t.Fatal(err)
	}
	m.start("postgres", postgres, "-D", data, "-h", "10.9.0.1", "-k", m.dir, "-F")
	c, err := pq.NewConnector("host=10.9.0.1 user=postgres dbname=postgres sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	c.Dialer(m.s)
	db := sql.OpenDB(c)
	defer db.Close()
	m.eventually(db.Ping)
	realSQL(t, db, dialect{blob: "BYTEA", arg: func(n int) string { return "$" + strconv.Itoa(n) }, sleep: "SELECT pg_sleep(600)"})
}

func TestRealMySQL(t *testing.T) {
	m := newMachine(t)
	install, server := m.find("mariadb-install-db"), m.find("mariadbd", "/usr/sbin/mariadbd")
	data := filepath.Join(m.dir, "data")
	m.run("mysql", install, "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db")
	m.start("mysql", server, "--no-defaults", "--datadir="+data, "--bind-address=10.9.0.1", "--port=3306",
		"--socket="+filepath.Join(m.dir, "sock"), "--skip-grant-tables", "--skip-networking=0", "--skip-name-resolve", "--max-allowed-packet=64M",
		"--pid-file="+filepath.Join(m.dir, "pid"))
	cfg := mysql.NewConfig()
	cfg.User, cfg.Net, cfg.Addr, cfg.DBName = "root", "tcp", "10.9.0.1:3306", "mysql"
	cfg.DialFunc, cfg.Logger = m.s.DialContext, &mysql.NopLogger{}
	c, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(c)
	defer db.Close()
	m.eventually(db.Ping)
	realSQL(t, db, dialect{blob: "LONGBLOB", arg: func(int) string { return "?" }, sleep: "SELECT SLEEP(600)"})
}

// dialect is what the two databases say differently.
type dialect struct {
	blob  string
	arg   func(n int) string
	sleep string
}

// realSQL is a day in the life of a program: tables, transactions, a pool under
// load, large values both ways, a statement that is given up.
func realSQL(t *testing.T, db *sql.DB, d dialect) {
	t.Helper()
	db.SetMaxOpenConns(6)
	if _, err := db.Exec("CREATE TABLE letters (id INTEGER PRIMARY KEY, body " + d.blob + ")"); err != nil {
		t.Fatal(err)
	}
	insert := fmt.Sprintf("INSERT INTO letters (id, body) VALUES (%s, %s)", d.arg(1), d.arg(2))
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	for n := range 500 {
		if _, err := tx.Exec(insert, n, bytes.Repeat([]byte{byte(n)}, n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range 12 { // more than the pool has connections
		wg.Go(func() {
			for n := w; n < 500; n += 12 {
				var body []byte
				if err := db.QueryRow("SELECT body FROM letters WHERE id = "+d.arg(1), n).Scan(&body); err != nil || !bytes.Equal(body, bytes.Repeat([]byte{byte(n)}, n)) {
					t.Errorf("letter %d: %d octets, %v", n, len(body), err)
				}
			}
		})
	}
	wg.Wait()
	large := make([]byte, 4<<20)
	rand.Read(large)
	if _, err := db.Exec(insert, 1000, large); err != nil {
		t.Fatal(err)
	}
	var back []byte
	if err := db.QueryRow("SELECT body FROM letters WHERE id = 1000").Scan(&back); err != nil || !bytes.Equal(back, large) {
		t.Errorf("%d of %d octets came back, %v", len(back), len(large), err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := db.ExecContext(ctx, d.sleep); err == nil || ctx.Err() == nil {
		t.Errorf("a statement of ten minutes, given up: %v", err)
	}
	var sum int
	if err := db.QueryRow("SELECT COUNT(*) FROM letters").Scan(&sum); err != nil || sum != 501 {
		t.Errorf("%d letters, %v", sum, err)
	}
}

func TestRealRedis(t *testing.T) {
	m := newMachine(t)
	m.start("redis", m.find("redis-server"), "--bind", "10.9.0.1", "--protected-mode", "no", "--save", "", "--dir", m.dir)
	dial := func(ctx context.Context) (redis.Conn, error) {
		return redis.DialContext(ctx, "tcp", "10.9.0.1:6379", redis.DialContextFunc(m.s.DialContext))
	}
	pool := &redis.Pool{MaxActive: 6, Wait: true, DialContext: dial}
	defer pool.Close()
	m.eventually(func() error {
		c := pool.Get()
		defer c.Close()
		_, err := c.Do("PING")
		return err
	})
	large := make([]byte, 8<<20)
	rand.Read(large)
	var wg sync.WaitGroup
	for w := range 12 {
		wg.Go(func() {
			c := pool.Get()
			defer c.Close()
			for n := range 200 { // a pipeline
				_ = c.Send("SET", fmt.Sprint(w, "-", n), large[n:n+n])
			}
			for n := range 200 {
				_ = c.Send("GET", fmt.Sprint(w, "-", n))
			}
			if err := c.Flush(); err != nil {
				t.Error(err)
				return
			}
			for n := range 400 {
				got, err := c.Receive()
				if b, ok := got.([]byte); err != nil || n >= 200 && (!ok || !bytes.Equal(b, large[n-200:2*(n-200)])) {
					t.Errorf("answer %d: %v, %v", n, got, err)
					return
				}
			}
		})
	}
	wg.Wait()
	c := pool.Get()
	defer c.Close()
	if _, err := c.Do("SET", "large", large); err != nil {
		t.Fatal(err)
	}
	if got, err := redis.Bytes(c.Do("GET", "large")); err != nil || !bytes.Equal(got, large) {
		t.Errorf("%d of %d octets came back, %v", len(got), len(large), err)
	}
	// A subscriber hears what another connection says.
	sub, err := dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ps := redis.PubSubConn{Conn: sub}
	defer ps.Close()
	if err := ps.Subscribe("news"); err != nil {
		t.Fatal(err)
	}
	if _, ok := ps.Receive().(redis.Subscription); !ok {
		t.Fatal("no subscription")
	}
	if _, err := c.Do("PUBLISH", "news", "hello"); err != nil {
		t.Fatal(err)
	}
	if msg, ok := ps.Receive().(redis.Message); !ok || string(msg.Data) != "hello" {
		t.Errorf("%+v", msg)
	}
}

package drivers_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"log"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lib/pq"

	"arpeggio/stack"
	"arpeggio/stack/vnet"
)

// postgres is as much of PostgreSQL's protocol 3.0 as the tests need.
type postgres struct {
	mu       sync.Mutex
	started  int32                   // connections, which number them
	sleeping map[int32]chan struct{} // closed by a cancel request
	asleep   func()                  // hears of a statement that sleeps; may be nil
}

// Codes in the place of a protocol version.
const (
	pgCancel = 80877102
	pgSSL    = 80877103
)

func (p *postgres) handle(c *stack.TCPConn, r *bufio.Reader) error {
	for {
		head, err := take(r, 8)
		if err != nil {
			return err
		}
		body, err := take(r, int(binary.BigEndian.Uint32(head))-8)
		if err != nil {
			return err
		}
		switch binary.BigEndian.Uint32(head[4:]) {
		case pgSSL:
			if _, err := c.Write([]byte{'N'}); err != nil {
				return err
			}
			continue
		case pgCancel:
			p.mu.Lock()
			if ch := p.sleeping[int32(binary.BigEndian.Uint32(body))]; ch != nil {
				close(ch)
			}
			p.mu.Unlock()
			return nil
		}
		break
	}
	p.mu.Lock()
	p.started++
	id := p.started
	p.mu.Unlock()
	s := pgSession{p: p, id: id}
	s.send('R', 0, 0, 0, 0) // no password
	s.send('K', binary.BigEndian.AppendUint64(nil, uint64(id)<<32)...)
	s.ready()
	for {
		if _, err := s.out.WriteTo(c); err != nil {
			return err
		}
		head, err := take(r, 5)
		if err != nil {
			return err
		}
		body, err := take(r, int(binary.BigEndian.Uint32(head[1:]))-4)
		if err != nil {
			return err
		}
		if !s.message(head[0], body) {
			return hangUp(c)
		}
	}
}

// pgSession is a connection after its start.
type pgSession struct {
	p    *postgres
	id   int32
	out  bytes.Buffer
	sql  string // prepared
	args []string
}

func (s *pgSession) send(kind byte, body ...byte) {
	s.out.WriteByte(kind)
	s.out.Write(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)))
	s.out.Write(body)
}

func (s *pgSession) ready() { s.send('Z', 'I') }

// message answers one message; false hangs up.
func (s *pgSession) message(kind byte, body []byte) bool {
	switch kind {
	case 'Q':
		ok := s.query(strings.TrimRight(string(body), "\x00"), true)
		s.ready()
		return ok
	case 'P': // parse: name, query, types
		s.sql = string(bytes.SplitN(body, []byte{0}, 3)[1])
		s.send('1')
	case 'D': // describe: one parameter and one column, both text
		s.send('t', 0, 1, 0, 0, 0, 25)
		s.columns()
	case 'B': // bind: portal, statement, formats, values
		rest := bytes.SplitN(body, []byte{0}, 3)[2]
		rest = rest[2+2*int(binary.BigEndian.Uint16(rest)):]
		s.args = nil
		for n := binary.BigEndian.Uint16(rest); n > 0; n-- {
			length := int(binary.BigEndian.Uint32(rest[2:]))
			s.args = append(s.args, string(rest[6:6+length]))
			rest = rest[4+length:]
		}
		s.send('2')
	case 'E':
		return s.query(s.sql, false)
	case 'S':
		s.ready()
	case 'C':
		s.send('3')
	case 'X':
		return false
	}
	return true
}

func (s *pgSession) columns() {
	s.send('T', append([]byte("\x00\x01answer\x00"), 0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0)...)
}

func (s *pgSession) row(value string) {
	b := binary.BigEndian.AppendUint32([]byte{0, 1}, uint32(len(value)))
	s.send('D', append(b, value...)...)
}

// query executes the few statements that the server knows.
func (s *pgSession) query(text string, describe bool) bool {
	var rows []string
	switch {
	case text == "CRASH":
		return false
	case text == "SLEEP":
		ch := make(chan struct{})
		s.p.mu.Lock()
		s.p.sleeping[s.id] = ch
		s.p.mu.Unlock()
		if s.p.asleep != nil {
			s.p.asleep()
		}
		<-ch
		s.send('E', []byte("SERROR\x00C57014\x00Mcanceling statement due to user request\x00\x00")...)
		return true
	case text == "MANY":
		for n := range 2000 {
			rows = append(rows, fmt.Sprint(n, strings.Repeat(" many", 100)))
		}
	case strings.Contains(text, "$1"):
		rows = s.args
	case strings.HasPrefix(text, "SELECT '"):
		rows = []string{strings.Trim(text[7:], "'")}
	}
	if describe && rows != nil {
		s.columns()
	}
	for _, r := range rows {
		s.row(r)
	}
	s.send('C', []byte(fmt.Sprintf("SELECT %d\x00", len(rows)))...)
	return true
}

// openPostgres returns a pool of connections over the client's stack.
func openPostgres(s *stack.Stack) *sql.DB {
	c, err := pq.NewConnector("host=10.0.0.2 port=5432 user=alice dbname=test sslmode=disable")
	if err != nil {
		panic(err)
	}
	c.Dialer(s)
	return sql.OpenDB(c)
}

// database/sql with lib/pq: a *stack.Stack is a pq.Dialer.
func Example_postgres() {
	client, server, stop := hosts(vnet.PortConfig{})
	defer stop()
	serve(server, ":5432", (&postgres{sleeping: map[int32]chan struct{}{}}).handle)

	c, err := pq.NewConnector("host=10.0.0.2 port=5432 user=alice dbname=test sslmode=disable")
	if err != nil {
		log.Fatal(err)
	}
	c.Dialer(client)
	db := sql.OpenDB(c)
	defer db.Close()
	var answer string
	err = db.QueryRow("SELECT $1", "hello").Scan(&answer)
	fmt.Println(answer, err)
	// Output: hello <nil>
}

func TestPostgres(t *testing.T) {
	client, server, stop := hosts(rough)
	defer stop()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := &postgres{sleeping: map[int32]chan struct{}{}, asleep: cancel}
	serve(server, ":5432", p.handle)
	db := openPostgres(client)
	defer db.Close()
	db.SetMaxOpenConns(4)
	testSQL(t, db, "SELECT $1")

	// A statement that is given up while it runs is cancelled by a connection of its own, and
	// the first one goes on.
	within(t, 30*time.Second, func() {
		_, err := db.ExecContext(ctx, "SLEEP")
		if err == nil || !strings.Contains(err.Error(), "cancel") {
			t.Errorf("a statement that is given up: %v", err)
		}
	})
	p.mu.Lock()
	if len(p.sleeping) != 1 {
		t.Errorf("%d statements slept", len(p.sleeping))
	}
	p.mu.Unlock()
	if err := db.Ping(); err != nil {
		t.Error(err)
	}
}

// testSQL is what both databases can do. echo is a statement that returns its
// parameter.
func testSQL(t *testing.T, db *sql.DB, echo string) {
	t.Helper()
	if err := db.Ping(); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for n := range 8 { // more than the pool has connections
		wg.Go(func() {
			for k := range 5 {
				want := fmt.Sprint(n, " ", k, strings.Repeat("x", 3000))
				var got string
				if err := db.QueryRow(echo, want).Scan(&got); err != nil || got != want {
					t.Errorf("%d octets of %d, %v", len(got), len(want), err)
				}
			}
		})
	}
	wg.Wait()
	rows, err := db.Query("MANY")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; rows.Next(); n++ {
		var got string
		if err := rows.Scan(&got); err != nil || got != fmt.Sprint(n, strings.Repeat(" many", 100)) {
			t.Fatalf("row %d: %q, %v", n, got, err)
		}
	}
	if err := rows.Err(); err != nil || n != 2000 {
		t.Errorf("%d rows, %v", n, err)
	}
	rows.Close()
	// The server resets a connection: the statement fails, and the pool makes
	// another one.
	if _, err := db.Exec("CRASH"); err == nil {
		t.Error("a statement whose server is gone succeeded")
	}
	if err := db.Ping(); err != nil {
		t.Error(err)
	}
}

package drivers_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"log"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"arpeggio/stack"
	"arpeggio/stack/vnet"
)

// mySession is as much of MySQL's protocol as the tests need: the greeting, and
// statements as text.
type mySession struct {
	c   *stack.TCPConn
	r   *bufio.Reader
	seq byte
	out []byte
}

// packet appends a packet to what is to be sent.
func (s *mySession) packet(body ...byte) {
	n := len(body)
	s.out = append(s.out, byte(n), byte(n>>8), byte(n>>16), s.seq)
	s.out = append(s.out, body...)
	s.seq++
}

func (s *mySession) ok()  { s.packet(0, 0, 0, 2, 0, 0, 0) }
func (s *mySession) eof() { s.packet(0xfe, 0, 0, 2, 0) }

// flush sends what has been appended, and read returns the next packet's body.
func (s *mySession) flush() error {
	_, err := s.c.Write(s.out)
	s.out = s.out[:0]
	return err
}

func (s *mySession) read() ([]byte, error) {
	head, err := take(s.r, 4)
	if err != nil {
		return nil, err
	}
	s.seq = head[3] + 1
	return take(s.r, int(head[0])|int(head[1])<<8|int(head[2])<<16)
}

// lenenc appends a string with its length before it.
func lenenc(b []byte, s string) []byte {
	if len(s) < 251 {
		b = append(b, byte(len(s)))
	} else {
		b = binary.LittleEndian.AppendUint16(append(b, 0xfc), uint16(len(s)))
	}
	return append(b, s...)
}

// greeting is that of a server of version 8 that asks for a password by
// mysql_native_password, which the script does not check.
func greeting() []byte {
	b := append([]byte{10}, "8.0.0\x00\x01\x00\x00\x00"...)
	b = append(b, "12345678\x00"...)
	b = append(b, 0x09, 0xa2, 33, 2, 0, 0x08, 0, 21)
	b = append(b, make([]byte, 10)...)
	return append(b, "123456789012\x00mysql_native_password\x00"...)
}

// mysqlServer is a server that calls asleep, unless nil, for a statement that sleeps.
type mysqlServer struct{ asleep func() }

func (m mysqlServer) handle(c *stack.TCPConn, r *bufio.Reader) error {
	s := &mySession{c: c, r: r}
	s.packet(greeting()...)
	if err := s.flush(); err != nil {
		return err
	}
	if _, err := s.read(); err != nil {
		return err
	}
	s.ok()
	for {
		if err := s.flush(); err != nil {
			return err
		}
		b, err := s.read()
		if err != nil {
			return err
		}
		switch text := string(b[1:]); {
		case b[0] == 1: // quit
			return nil
		case b[0] != 3: // ping
			s.ok()
		case text == "CRASH":
			return hangUp(c)
		case text == "SLEEP":
			if m.asleep != nil {
				m.asleep()
			}
			_, err := s.read() // until the client hangs up
			return err
		case text == "MANY":
			var rows []string
			for n := range 2000 {
				rows = append(rows, fmt.Sprint(n, strings.Repeat(" many", 100)))
			}
			s.result(rows)
		case strings.HasPrefix(text, "SELECT '"):
			s.result([]string{strings.Trim(text[7:], "'")})
		default:
			s.ok()
		}
	}
}

// result sends rows of one column.
func (s *mySession) result(rows []string) {
	s.packet(1)
	var def []byte
	for _, f := range []string{"def", "", "", "", "answer", "answer"} {
		def = lenenc(def, f)
	}
	s.packet(append(def, 0x0c, 33, 0, 0xff, 0xff, 0, 0, 0xfd, 0, 0, 0, 0, 0)...)
	s.eof()
	for _, r := range rows {
		s.packet(lenenc(nil, r)...)
	}
	s.eof()
}

// openMySQL returns a pool of connections over the client's stack.
func openMySQL(s *stack.Stack) *sql.DB {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr = "alice", "sesame", "tcp", "10.0.0.2:3306"
	cfg.DialFunc, cfg.InterpolateParams = s.DialContext, true
	cfg.Logger = &mysql.NopLogger{} // the tests look at the errors themselves
	c, err := mysql.NewConnector(cfg)
	if err != nil {
		panic(err)
	}
	return sql.OpenDB(c)
}

// database/sql with go-sql-driver/mysql: DialContext is its DialFunc.
func Example_mysql() {
	client, server, stop := hosts(vnet.PortConfig{})
	defer stop()
	serve(server, ":3306", mysqlServer{}.handle)

	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr = "alice", "sesame", "tcp", "10.0.0.2:3306"
	cfg.DialFunc, cfg.InterpolateParams = client.DialContext, true
	c, err := mysql.NewConnector(cfg)
	if err != nil {
		log.Fatal(err)
	}
	db := sql.OpenDB(c)
	defer db.Close()
	var answer string
	err = db.QueryRow("SELECT ?", "hello").Scan(&answer)
	fmt.Println(answer, err)
	// Output: hello <nil>
}

func TestMySQL(t *testing.T) {
	client, server, stop := hosts(rough)
	defer stop()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	serve(server, ":3306", mysqlServer{cancel}.handle)
	db := openMySQL(client)
	defer db.Close()
	db.SetMaxOpenConns(4)
	testSQL(t, db, "SELECT ?")

	// This driver closes the connection under a statement that is given up.
	within(t, 30*time.Second, func() {
		if _, err := db.ExecContext(ctx, "SLEEP"); !errors.Is(err, context.Canceled) {
			t.Errorf("a statement that is given up: %v", err)
		}
	})
	if err := db.Ping(); err != nil {
		t.Error(err)
	}
}

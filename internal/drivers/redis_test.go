package drivers_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"arpeggio/stack"
	"arpeggio/stack/vnet"
)

// store is as much of Redis as the tests need.
type store struct {
	mu     sync.Mutex
	values map[string]string
}

func (s *store) handle(c *stack.TCPConn, r *bufio.Reader) error {
	w := bufio.NewWriter(c)
	for {
		args, err := command(r)
		if err != nil {
			return err
		}
		s.mu.Lock()
		switch strings.ToUpper(args[0]) {
		case "SET":
			s.values[args[1]] = args[2]
			fmt.Fprint(w, "+OK\r\n")
		case "GET":
			if v, ok := s.values[args[1]]; ok {
				fmt.Fprintf(w, "$%d\r\n%s\r\n", len(v), v)
			} else {
				fmt.Fprint(w, "$-1\r\n")
			}
		case "BLPOP": // nobody ever pushes
		default:
			fmt.Fprintf(w, "-ERR unknown command '%s'\r\n", args[0])
		}
		s.mu.Unlock()
		if r.Buffered() == 0 {
			if err := w.Flush(); err != nil {
				return err
			}
		}
	}
}

// command reads an array of strings.
func command(r *bufio.Reader) (args []string, err error) {
	number := func(mark byte) (int, error) {
		line, err := r.ReadString('\n')
		if err != nil {
			return 0, err
		}
		if line[0] != mark {
			return 0, fmt.Errorf("%q", line)
		}
		return strconv.Atoi(strings.TrimSpace(line[1:]))
	}
	n, err := number('*')
	for ; n > 0 && err == nil; n-- {
		var length int
		if length, err = number('$'); err != nil {
			break
		}
		var b []byte
		if b, err = take(r, length+2); err == nil {
			args = append(args, string(b[:length]))
		}
	}
	return args, err
}

// redigo: DialContext is its dial function.
func Example_redis() {
	client, server, stop := hosts(vnet.PortConfig{})
	defer stop()
	serve(server, ":6379", (&store{values: map[string]string{}}).handle)

	c, err := redis.DialContext(context.Background(), "tcp", "10.0.0.2:6379", redis.DialContextFunc(client.DialContext))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Do("SET", "greeting", "hello"); err != nil {
		log.Fatal(err)
	}
	fmt.Println(redis.String(c.Do("GET", "greeting")))
	// Output: hello <nil>
}

func TestRedis(t *testing.T) {
	client, server, stop := hosts(rough)
	defer stop()
	serve(server, ":6379", (&store{values: map[string]string{}}).handle)
	pool := &redis.Pool{MaxActive: 4, Wait: true, DialContext: func(ctx context.Context) (redis.Conn, error) {
		return redis.DialContext(ctx, "tcp", "10.0.0.2:6379", redis.DialContextFunc(client.DialContext))
	}}
	defer pool.Close()
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			c := pool.Get()
			defer c.Close()
			for k := range 200 { // one after the other without waiting
				c.Send("SET", fmt.Sprint(n, "-", k), strings.Repeat(fmt.Sprint(k), 200))
			}
			if err := c.Flush(); err != nil {
				t.Error(err)
			}
			for range 200 {
				if s, err := redis.String(c.Receive()); s != "OK" || err != nil {
					t.Errorf("%q, %v", s, err)
				}
			}
			if v, err := redis.String(c.Do("GET", fmt.Sprint(n, "-199"))); v != strings.Repeat("199", 200) || err != nil {
				t.Errorf("%d octets, %v", len(v), err)
			}
		})
	}
	wg.Wait()
	c := pool.Get()
	defer c.Close()
	if _, err := c.Do("FLY"); err == nil || !strings.Contains(err.Error(), "unknown command") {
		t.Errorf("%v", err)
	}
	within(t, 30*time.Second, func() {
		if _, err := redis.DoWithTimeout(c, 100*time.Millisecond, "BLPOP", "x", 0); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("an answer that does not come: %v", err)
		}
	})
}

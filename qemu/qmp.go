package qemu

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
)

// maxQMPLine bounds one message from QEMU in octets.
const maxQMPLine = 1 << 20

// errQMPClosed is returned for commands after QEMU has closed the connection.
var errQMPClosed = errors.New("qemu: QMP connection is closed")

// qmpEvent is an asynchronous message of QEMU.
type qmpEvent struct {
	Event string          `json:"event"`
	Data  json.RawMessage `json:"data"`
}

// qmpError is a command's refusal.
type qmpError struct {
	Class string `json:"class"`
	Desc  string `json:"desc"`
}

func (e *qmpError) Error() string { return "qemu: " + e.Desc }

// qmp speaks QEMU's machine protocol (docs/interop/qmp-spec of QEMU): JSON
// objects, one a line; a greeting, a negotiation, then commands, answers that
// carry the command's id, and events. execute may be called from any goroutine.
type qmp struct {
	conn   net.Conn
	r      *bufio.Scanner
	closed chan struct{} // when reading has ended

	mu      sync.Mutex
	nextID  uint64
	waiting map[uint64]chan qmpReply
}

type qmpReply struct {
	ID     *uint64         `json:"id"`
	Return json.RawMessage `json:"return"`
	Error  *qmpError       `json:"error"`
}

type qmpCommand struct {
	Execute   string `json:"execute"`
	Arguments any    `json:"arguments,omitempty"`
	ID        uint64 `json:"id"`
}

// newQMP negotiates and starts reading. Events go to onEvent, one at a time, in
// the reading goroutine, which must not execute commands.
func newQMP(ctx context.Context, conn net.Conn, onEvent func(qmpEvent)) (*qmp, error) {
	q := &qmp{conn: conn, r: bufio.NewScanner(conn), closed: make(chan struct{}), waiting: map[uint64]chan qmpReply{}}
	q.r.Buffer(nil, maxQMPLine)
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	var greeting struct {
		QMP *json.RawMessage `json:"QMP"`
	}
	if !q.r.Scan() {
		return nil, errors.Join(errors.New("qemu: no QMP greeting"), q.r.Err(), context.Cause(ctx))
	}
	if err := json.Unmarshal(q.r.Bytes(), &greeting); err != nil || greeting.QMP == nil {
		return nil, errors.New("qemu: the QMP greeting is not one")
	}
	go q.read(onEvent)
	if err := q.execute(ctx, "qmp_capabilities", nil, nil); err != nil {
		return nil, err
	}
	return q, nil
}

func (q *qmp) read(onEvent func(qmpEvent)) {
	defer close(q.closed)
	for q.r.Scan() {
		var m struct {
			qmpReply
			qmpEvent
		}
		if json.Unmarshal(q.r.Bytes(), &m) != nil {
			continue // QEMU has never been seen to send such a line
		}
		switch {
		case m.Event != "":
			onEvent(m.qmpEvent)
		case m.ID != nil:
			q.mu.Lock()
			c := q.waiting[*m.ID]
			delete(q.waiting, *m.ID)
			q.mu.Unlock()
			if c != nil {
				c <- m.qmpReply
			}
		}
	}
}

// execute runs a command and stores what it returns in result, unless that is nil.
func (q *qmp) execute(ctx context.Context, command string, arguments, result any) error {
	c := make(chan qmpReply, 1)
	q.mu.Lock()
	q.nextID++
	id := q.nextID
	line, err := json.Marshal(qmpCommand{command, arguments, id})
	if err == nil {
		q.waiting[id] = c
		_, err = q.conn.Write(append(line, '\n'))
	}
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		delete(q.waiting, id)
		q.mu.Unlock()
	}()
	if err != nil {
		return fmt.Errorf("qemu: %s: %w", command, err)
	}
	select {
	case r := <-c:
		if r.Error != nil {
			return r.Error
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(r.Return, result)
	case <-q.closed:
		return errQMPClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (q *qmp) close() { q.conn.Close() }

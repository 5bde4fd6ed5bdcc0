package tcp

import "testing"

// A record shares no segment with the next, and does not wait behind it; the
// last one is subject to Nagle's algorithm.
func TestRecords(t *testing.T) {
	p := inEstablished(t)
	record := func(n int) {
		p.write(n)
		p.c.EndRecord()
	}
	p.write(1400)
	p.expect("[.] 1+1000 ack 1", "[P.] 1001+400 ack 1")
	p.write(100)
	record(200)
	record(50)
	p.expect("[P.] 1401+300 ack 1") // the next one has come
	p.write(2000)
	p.expect("[P.] 1701+50 ack 1", "[.] 1751+1000 ack 1", "[P.] 2751+1000 ack 1")
	p.recv(ACK, 1, 3751, 0)
	record(20)
	p.expect("[P.] 3751+20 ack 1")
	record(30)
	p.expect()
	p.c.CloseWrite(p.now)
	p.flush()
	p.expect("[FP.] 3771+30 ack 1")
}

// Records stay apart when they are sent again, by a tail loss probe and by a
// timeout.
func TestRecordsResent(t *testing.T) {
	p := inEstablished(t, withSACK, config(func(c *Config) { c.NoDelay = true }))
	for range 3 {
		p.write(100)
		p.c.EndRecord()
	}
	p.expect("[P.] 1+100 ack 1", "[P.] 101+100 ack 1", "[P.] 201+100 ack 1")
	p.after(p.c.Info().TimerAt.Sub(p.now))
	p.expect("[P.] 201+100 ack 1")
	p.after(p.c.Info().TimerAt.Sub(p.now))
	p.expect("[P.] 1+100 ack 1", "[P.] 101+100 ack 1", "[P.] 201+100 ack 1") // as much as one segment
	p.recv(ACK, 1, 301, 0)
	p.write(100) // no record is held any more
	p.write(100)
	p.expect("[P.] 301+100 ack 1", "[P.] 401+100 ack 1")
	if p.c.sndq.records != 0 {
		t.Errorf("%d ends of records are held", p.c.sndq.records)
	}
}

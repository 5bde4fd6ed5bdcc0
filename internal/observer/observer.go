package observer

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/observe"
	"arpeggio/arp/versioned"
	"arpeggio/stack/capture"
)

// Config describes an Observer. Journal is required.
type Config struct {
	Engine observe.Config
	// Networks are the local networks of every interface; empty: those that an
	// interface itself has.
	Networks []netip.Prefix
	// Domains names the broadcast domains of interfaces by their names. An
	// interface that is not among them has the domain arp.DefaultDomain when it
	// is the only one of its capture, else one of its own name.
	Domains map[string]string
	Journal *versioned.Journal
	// Index is the file of the seen index; empty for none.
	Index string
	// Lookup, when not nil, is the journal's index of the record, which is brought
	// up to date and saved now and then.
	Lookup *versioned.RecordIndex
	// Record gets every frame that was looked at, with the commits that rest on it
	// as its comment; nil records nothing.
	Record *capture.Writer
	// Tell gets the events that people should hear of, in order, each with its
	// commit. It must not block.
	Tell func(r *observe.Record, commit string)
	// Patience is how long, in a live run, an event waits for another one that
	// says more; 0 is for captures, where time passes with the frames.
	Patience time.Duration
	// Ends has the ends of episodes told, too.
	Ends bool
	// Note gets what people should know about the sources, such as a clock that
	// was set back; nil discards.
	Note func(string)
	// Logger hears of what does not concern the network; nil discards.
	Logger *slog.Logger
}

// Stats counts what an Observer did.
type Stats struct {
	Frames  uint64 // looked at
	Lost    uint64 // by the kernel or the interface, as the captures say
	Foreign uint64 // packets of captures that are not of Ethernet
	Times   uint64 // frames without a usable time, which count as their predecessors'
	Behind  uint64 // frames whose clock had gone back
	Told    uint64 // events that were handed to Tell
	// Delay is, of a live run, how long after its frame an event was committed.
	Delay   arp.Durations
	Engine  observe.Stats
	Journal versioned.JournalStats
	// Blocks are the malformed blocks of capture files, by reason.
	Blocks [capture.NumReasons]uint64
}

// Observer is one run over some sources. It is for one goroutine.
type Observer struct {
	cfg    Config
	engine *observe.Engine
	holder observe.Holder
	ifaces []source
	// unseeded is what the branch holds of domains without an interface, so far.
	unseeded map[string][]observe.Known
	recorded time.Time // how far the history goes, at the start
	now      time.Time // of the latest frame, never going back
	last     int       // the source of the last frame
	s        observe.Sighting
	o        versioned.Observation
	events   []string
	frame    []byte   // that is being looked at
	led      []string // what is recorded beside it
	index    *index
	lookup   time.Time // when the index of the record is saved next
	stats    Stats
	latest   atomic.Pointer[Stats] // for other goroutines
}

// source is an interface that frames come from.
type source struct {
	observe.Interface
	number int    // of the engine
	record int    // of the recording
	lost   uint64 // frames whose loss is not written down yet
	since  int64  // second in which loss was written down last

	latest time.Time // of its frames, and of the history before them
	behind bool      // its clock has gone back and not caught up yet
}

// is reports whether an interface is the same one.
func (s *source) is(i *observe.Interface) bool {
	return s.Name == i.Name && s.Domain == i.Domain && slices.Equal(s.Networks, i.Networks)
}

// New returns an Observer that knows what the journal's branch and the seen index
// hold.
func New(cfg Config) *Observer {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Tell == nil {
		cfg.Tell = func(*observe.Record, string) {}
	}
	if cfg.Note == nil {
		cfg.Note = func(string) {}
	}
	o := &Observer{cfg: cfg, engine: observe.New(cfg.Engine), holder: observe.Holder{Patience: cfg.Patience}}
	o.load()
	return o
}

// AddInterface makes an interface known and returns its number. Alone says that
// the capture has no other.
func (o *Observer) AddInterface(i capture.Interface, alone bool) (int, error) {
	domain, ok := o.cfg.Domains[i.Name]
	if !ok && !alone && i.Name != "" {
		domain = i.Name
	}
	if domain == "" {
		domain = arp.DefaultDomain
	}
	in := observe.Interface{Name: versioned.Clean(i.Name), Domain: domain, Networks: o.cfg.Networks}
	if len(in.Networks) == 0 {
		for _, n := range i.Networks {
			in.Networks = append(in.Networks, n.Masked())
		}
	}
	for n, have := range o.ifaces {
		if have.is(&in) {
			return n, nil // of an earlier file
		}
	}
	n, err := o.engine.AddInterface(in)
	if err != nil {
		return 0, err
	}
	o.seed(domain)
	s := source{Interface: in, number: n, latest: o.recorded}
	if o.cfg.Record != nil {
		if s.record, err = o.cfg.Record.AddInterface(i); err != nil {
			return 0, fmt.Errorf("the recording: %w", err)
		}
	}
	o.ifaces = append(o.ifaces, s)
	return len(o.ifaces) - 1, nil
}

// Times beyond these make no sense in a history of this century.
const maxUnix = 1 << 33 // the year 2242

// Frame takes one frame of an interface: what a capture holds of it, how long it
// was on the wire, when it came, and how many were lost before it. It returns
// when everything that follows from it is committed.
func (o *Observer) Frame(ctx context.Context, iface int, p *capture.Packet) error {
	src := &o.ifaces[iface]
	at := p.Time
	if !usable(at) {
		o.stats.Times++
		at = o.now
	}
	if at.After(o.now) {
		o.now = at
	}
	o.stats.Frames++
	o.led = o.led[:0]
	err := o.look(ctx, iface, at, p)
	if e := o.record(src, at, p); err == nil {
		err = e
	}
	return err
}

// look observes a frame that came at a time.
func (o *Observer) look(ctx context.Context, iface int, at time.Time, p *capture.Packet) error {
	src := &o.ifaces[iface]
	if _, err := o.cfg.Journal.Advance(ctx, at); err != nil {
		return err
	}
	o.last = iface
	if err := o.clock(ctx, src, at); err != nil {
		return err
	}
	if p.Dropped > 0 {
		src.lost += p.Dropped
		o.stats.Lost += p.Dropped
	}
	if src.lost > 0 && at.Unix() > src.since {
		if err := o.loss(ctx, src, at); err != nil {
			return err
		}
	}
	o.s.Time, o.s.Interface = at, src.number
	observe.Parse(&o.s, p.Data, p.Length)
	o.frame = p.Data
	err := o.write(ctx, o.engine.Input(&o.s))
	o.frame = nil
	if o.cfg.Patience <= 0 {
		o.tell(o.holder.Take(o.now))
	}
	return err
}

// loss writes down that frames were lost, at most once a second.
func (o *Observer) loss(ctx context.Context, src *source, at time.Time) error {
	ob := versioned.Observation{
		Time: at, Interface: src.Name, Events: []string{versioned.EventLoss}, Count: int(src.lost),
		Subject: fmt.Sprintf("arp: %d frames were lost on %s", src.lost, src.Name),
	}
	src.date(&ob)
	_, err := o.cfg.Journal.Write(ctx, &ob)
	src.lost, src.since = 0, at.Unix()
	return err
}

// write commits records and tells about them.
func (o *Observer) write(ctx context.Context, records []observe.Record) error {
	for i := range records {
		r := &records[i]
		o.observation(r)
		if len(o.ifaces) > 0 {
			o.ifaces[o.last].date(&o.o)
		}
		id, err := o.cfg.Journal.Write(ctx, &o.o)
		if err != nil {
			return err
		}
		o.leads(r, id)
		if o.cfg.Patience > 0 && !id.IsZero() {
			o.stats.Delay.Add(time.Since(r.Time))
		}
		if o.cfg.Ends && r.Phase == observe.PhaseEnded && !r.Folded {
			r.Alert = true
		}
		commit := ""
		if r.Alert {
			commit = id.String()
		}
		o.holder.Add(r, commit)
	}
	return nil
}

// tell hands on events whose time has come.
func (o *Observer) tell(lines []observe.Line) {
	for i := range lines {
		o.stats.Told++
		o.cfg.Tell(&lines[i].Record, lines[i].Commit)
	}
}

// Idle does what can wait, while no frames do: it saves the seen index now and
// then, and writes what is recorded.
func (o *Observer) Idle() error {
	if o.cfg.Record != nil {
		if err := o.cfg.Record.Flush(); err != nil {
			return fmt.Errorf("the recording: %w", err)
		}
	}
	if o.cfg.Patience > 0 {
		o.tell(o.holder.Take(time.Now()))
	}
	o.index.save(o, false)
	o.saveLookup(false)
	st := o.Stats()
	o.latest.Store(&st)
	return nil
}

// Latest returns the counts as of the last call of Idle, zero before it. It may
// be called from any goroutine.
func (o *Observer) Latest() Stats {
	if st := o.latest.Load(); st != nil {
		return *st
	}
	return Stats{}
}

// Close ends what is under way at the time of the last frame, and makes
// everything durable. The journal stays open.
func (o *Observer) Close(ctx context.Context) error {
	// The summary of the last second comes first, as it has where a live run was
	// idle before its end.
	_, err := o.cfg.Journal.Flush(ctx)
	if err == nil {
		err = o.write(ctx, o.engine.Finish())
	}
	for i := range o.ifaces {
		if src := &o.ifaces[i]; err == nil && src.lost > 0 {
			err = o.loss(ctx, src, o.now)
		}
	}
	if err == nil {
		_, err = o.cfg.Journal.Flush(ctx)
	}
	o.tell(o.holder.Flush())
	if e := o.cfg.Journal.Sync(ctx); err == nil {
		err = e
	}
	if o.cfg.Record != nil {
		if e := o.cfg.Record.Flush(); err == nil && e != nil {
			err = fmt.Errorf("the recording: %w", e)
		}
	}
	o.index.close(o)
	o.saveLookup(true)
	return err
}

// Stats returns the counts.
func (o *Observer) Stats() Stats {
	st := o.stats
	st.Engine, st.Journal = o.engine.Stats(), o.cfg.Journal.Stats()
	return st
}

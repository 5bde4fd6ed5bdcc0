package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"arpeggio/arp/observe"
	"arpeggio/arp/vendors"
	"arpeggio/arp/versioned"
	"arpeggio/internal/observer"
	"arpeggio/internal/openrepo"
	"arpeggio/vcs"
	"arpeggio/vcs/badger"
	"arpeggio/vcs/gitremote"
	"arpeggio/vcs/mem"
)

// observeFlags are common to watch and read.
type observeFlags struct {
	Repo    string            `placeholder:"DIR" help:"Keep the history in this directory, made when missing: a bare Git directory, which stock git reads as it is, when the name ends in .git or it is one already; else a store, which is much faster to write and is read with this program or cloned from git-serve. Default: in memory, until the end."`
	Network []netip.Prefix    `placeholder:"CIDR" help:"A local network; addresses outside of all of them are bogons. Default: the interface's own."`
	Domain  map[string]string `placeholder:"IFACE=NAME" help:"Broadcast domain of an interface. Default: lan for a single one, else each its name."`
	Node    string            `default:"observer" placeholder:"NAME" help:"Author of the commits (${default})."`
	Branch  string            `default:"primary" placeholder:"NAME" help:"Write to this branch (${default})."`
	Policy  string            `default:"compat" enum:"compat,verify,strict,first" placeholder:"POLICY" help:"When an address moves to who claims it: compat as most systems do, verify, strict or first (${default})."`
	Expire  time.Duration     `placeholder:"TIME" help:"End a binding that was silent for so long. Default: never."`
	JSON    bool              `name:"json" help:"One JSON object a line for each event."`
	Color   string            `enum:"auto,always,never" default:"auto" help:"Colours: auto, always or never (${default}; NO_COLOR is honoured)."`
	Ends    bool              `help:"Also a line when an episode ends, with its count: of a flood, a scan, a dispute."`
	Quiet   bool              `short:"q" help:"Print no events and no summary."`
	Verbose bool              `short:"v" help:"Log more."`

	sinkFlags
	keepFlags
	pcapFlags
}

// observation is an observer that is set up.
type observation struct {
	*observer.Observer
	flags   *observeFlags
	journal *versioned.Journal
	store   *vcs.Store
	close   func() error // of the store
	rec     *pcapFile
	print   *eventPrinter
	sinks   *sinks
	log     *slog.Logger
}

func (f *observeFlags) logger() *slog.Logger {
	level := slog.LevelWarn
	if f.Verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

// check refuses what cannot work.
func (f *observeFlags) check() error {
	if f.Expire < 0 {
		return usagef("--expire %v: want a positive time such as 24h", f.Expire)
	}
	if versioned.Clean(f.Node) != f.Node || strings.ContainsAny(f.Node, "<>") {
		return usagef("--node %q: want a name of printable ASCII without <>", f.Node)
	}
	if err := vcs.CheckRefName(vcs.BranchRef(f.Branch)); err != nil {
		return usagef("--branch: %v", err)
	}
	return f.pcapFlags.check()
}

// record starts the recording, if one is wanted.
func (f *observeFlags) record() (*pcapFile, error) {
	if f.Pcap == "" {
		return nil, nil
	}
	return record(f.Pcap, f.PcapSize)
}

// start opens the repository and makes the observer. It takes over rec. A live
// run prints without waiting for the reader.
func (f *observeFlags) start(ctx context.Context, rec *pcapFile, live bool) (_ *observation, err error) {
	o := &observation{flags: f, rec: rec, log: f.logger()}
	defer func() {
		if err != nil {
			o.rec.close()
			if o.close != nil {
				o.close()
			}
		}
	}()
	names := &vendors.Table{}
	if o.sinks, err = f.sinkFlags.open(ctx, live, names, o.log); err != nil {
		return nil, err
	}
	if err := o.openStore(ctx); err != nil {
		return nil, err
	}
	var lookup *versioned.RecordIndex
	if f.Repo != "" {
		lookup = versioned.OpenRecordIndex(versioned.RecordIndexPath(f.Repo, f.Branch))
	}
	if o.journal, err = versioned.OpenJournal(ctx, o.store, versioned.JournalConfig{Node: f.Node, Branch: f.Branch, Index: lookup, Logger: o.log}); err != nil {
		return nil, err
	}
	if !o.journal.Head().IsZero() && lookup.Len() == 0 {
		lookup = nil // of a long history it is made when somebody asks
	}
	policy, err := observe.ParsePolicy(f.Policy)
	if err != nil {
		return nil, err
	}
	cfg := observer.Config{
		Engine: observe.Config{Policy: policy, Expire: f.Expire}, Networks: f.Network, Domains: f.Domain,
		Journal: o.journal, Ends: f.Ends, Logger: o.log, Note: func(s string) { note("%s", s) },
	}
	if live {
		cfg.Patience = patience
	}
	if f.Repo != "" {
		cfg.Index, cfg.Lookup = versioned.SeenPath(f.Repo, f.Branch), lookup
	}
	if rec != nil {
		cfg.Record = rec.Writer
	}
	if !f.Quiet {
		o.print = newEventPrinter(f, live, names)
	}
	cfg.Tell = func(r *observe.Record, commit string) {
		o.print.event(r, commit)
		o.sinks.Tell(r, commit)
	}
	o.Observer = observer.New(cfg)
	return o, nil
}

// patience is how long a line waits, live, for one that says more.
const patience = 2 * time.Second

// openStore opens what --repo names, or a store in memory.
func (o *observation) openStore(ctx context.Context) error {
	f := o.flags
	where := "none"
	if f.Repo != "" {
		where = storeArchive(f.Repo)
	}
	policy, err := f.policy(where)
	if err != nil {
		return err
	}
	keep, err := retention(policy, f.Node, o.log)
	if err != nil {
		return unreachable(err, f.Repo)
	}
	if f.Repo == "" {
		if o.store, err = vcs.OpenStore(ctx, mem.New(), vcs.StoreConfig{CacheBytes: storeCache, Logger: o.log, Retention: keep}); err == nil {
			o.close = o.store.Close
		}
		return err
	}
	o.store, o.close, err = openWritable(ctx, f.Repo, f.Branch, keep, o.log)
	return err
}

// storeCache is how many octets of objects a store keeps in memory.
const storeCache = 32 << 20

// openWritable opens a local repository, and makes it if need be: a store, or a
// bare Git directory where the name ends in .git. It returns how to close it.
func openWritable(ctx context.Context, dir, branch string, keep vcs.Retention, log *slog.Logger) (*vcs.Store, func() error, error) {
	fresh := isNew(dir)
	if fresh && strings.HasSuffix(dir, ".git") {
		// As the name says: slower to write, and stock git reads it as it is.
		d, err := gitremote.CreateDir(dir, vcs.BranchRef(branch))
		if err != nil {
			return nil, nil, unreachable(err, dir)
		}
		if err := d.Close(); err != nil {
			return nil, nil, err
		}
		fresh = false
	}
	if !fresh {
		r, err := openrepo.Open(ctx, dir, openrepo.Options{Write: true, Retention: keep, Logger: log})
		if errors.Is(err, badger.ErrLocked) {
			return nil, nil, withHint(err, "another program writes there: stop it, or choose another --repo")
		}
		if err != nil {
			return nil, nil, unreachable(err, dir)
		}
		if err := r.Writable(); err != nil {
			r.Close()
			return nil, nil, err
		}
		return r.Store, r.Close, nil
	}
	b, err := badger.Open(ctx, dir, badger.Config{Logger: log})
	if err != nil {
		return nil, nil, unreachable(err, dir)
	}
	store, err := vcs.OpenStore(ctx, b, vcs.StoreConfig{CacheBytes: storeCache, Logger: log, Retention: keep})
	if err != nil {
		return nil, nil, err
	}
	stop, err := openrepo.ServeLive(dir, store)
	if err != nil {
		log.Warn("other programs cannot read the store while this one runs", "err", err)
		return store, store.Close, nil
	}
	return store, func() error {
		stop()
		return store.Close()
	}, nil
}

// unreachable adds the usual remedy to an error about a directory that the user
// may not use.
func unreachable(err error, dir string) error {
	if errors.Is(err, fs.ErrPermission) {
		return withHint(err, "uid %d cannot use %s: choose a directory that it can reach, such as one below /var/lib, or another user with --user", os.Geteuid(), dir)
	}
	return err
}

// isNew reports whether there is nothing in a directory yet.
func isNew(dir string) bool {
	entries, err := os.ReadDir(dir)
	return errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0
}

// finish ends the run, whatever happened, and prints the summary.
func (o *observation) finish(ctx context.Context, err error, lost uint64) error {
	if e := o.Close(ctx); err == nil {
		err = e
	}
	if e := o.print.close(); err == nil {
		err = e
	}
	o.sinks.close(o.flags.Quiet)
	head := o.journal.Head()
	st := o.Stats()
	o.rec.close()
	if e := o.close(); err == nil {
		err = e
	}
	if !o.flags.Quiet {
		o.summary(st, head, lost)
	}
	return err
}

// summary says what the run saw, and what to do with it.
func (o *observation) summary(st observer.Stats, head vcs.ID, lost uint64) {
	line := fmt.Sprintf("%s, %s, %s on %s", count(int(st.Frames), "frame"), count(int(st.Told), "event"), count(int(st.Journal.Commits), "commit"), o.flags.Branch)
	if !head.IsZero() {
		line += " (" + head.Short() + ")"
	}
	note("%s", line)
	var bad []string
	var sum uint64
	for r := observe.ReasonOther + 1; r < observe.NumReasons; r++ {
		if n := st.Engine.Malformed[r]; n > 0 {
			sum += n
			bad = append(bad, fmt.Sprintf("%v %d", r, n))
		}
	}
	for r, n := range st.Blocks {
		if n > 0 {
			sum += n
			bad = append(bad, fmt.Sprintf("%s %d", blockReason(r), n))
		}
	}
	if sum > 0 {
		note("%d malformed: %s", sum, strings.Join(bad, ", "))
	}
	if st.Foreign > 0 {
		note("%s not of Ethernet", count(int(st.Foreign), "packet"))
	}
	if lost += st.Lost; lost > 0 {
		note("%s lost by the kernel: give it more time, or fewer interfaces", count(int(lost), "frame"))
	}
	if n := o.print.missing(); n > 0 {
		note("%s not printed, as nobody read them in time; the history has them", count(int(n), "event"))
	}
	if o.flags.Repo != "" && !head.IsZero() {
		repo := filepath.Clean(o.flags.Repo)
		git := "arpeggio git-serve --repo " + repo
		if strings.HasSuffix(repo, ".git") {
			git = "git -C " + repo + " log --all --graph --oneline"
		}
		note("next: arpeggio table --repo %s, arpeggio log --repo %s, %s", repo, repo, git)
	}
}

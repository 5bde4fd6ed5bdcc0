package observer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"arpeggio/arp/observe"
	"arpeggio/stack/capture"
)

// Warning is something about a capture file that people should know, though what
// could be read of it was.
type Warning struct {
	File string
	Text string
}

// ReadFiles reads capture files, pcap and pcapng, also compressed with gzip, in
// the order given; "-" is standard input. What is damaged is skipped and counted
// (Stats.Blocks); a file that ends early gives a warning and keeps what was read.
// Of a file that begins before what was recorded of its interface nothing is
// read: its error wraps ErrOlder.
// The error is the first file's that could not be read at all or where damage
// hid the rest, once all files were read, or one that makes going on pointless.
func (o *Observer) ReadFiles(ctx context.Context, warn func(Warning), stdin io.Reader, names ...string) error {
	var first error
	for _, name := range names {
		err := o.readFile(ctx, warn, stdin, name)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errFile):
			if first == nil {
				first = err
			} else {
				warn(Warning{name, err.Error()})
			}
		case err != nil:
			return err
		}
	}
	return first
}

// errFile marks what is wrong with one file only.
var errFile = errors.New("cannot be read")

func (o *Observer) readFile(ctx context.Context, warn func(Warning), stdin io.Reader, name string) error {
	in, shown := stdin, "standard input"
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("%w: %w", errFile, err)
		}
		defer f.Close()
		in, shown = f, name
	}
	r, err := capture.NewReader(in)
	if err != nil {
		return fmt.Errorf("%s %w: %w", shown, errFile, err)
	}
	err = o.readPackets(ctx, r)
	st := r.Stats()
	for why, n := range st.Reasons {
		o.stats.Blocks[why] += n
	}
	if st.Truncated {
		warn(Warning{shown, fmt.Sprintf("it is cut off after %d packets; they were read", st.Packets)})
	}
	if errors.Is(err, ErrOlder) {
		return fmt.Errorf("%s %w: %w", shown, errFile, err)
	}
	if errors.Is(err, capture.ErrFormat) {
		return fmt.Errorf("%s %w beyond packet %d, those before it were: %w", shown, errFile, st.Packets, err)
	}
	return err
}

// readPackets observes the packets of one file.
func (o *Observer) readPackets(ctx context.Context, r *capture.Reader) error {
	var numbers []int // of the file's interfaces
	alone, begun := false, false
	var p capture.Packet
	for n := 0; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		var err error
		if p, err = r.Next(); err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if n == 0 {
			// What is described later is one of several in any case.
			alone = len(r.Interfaces()) == 1
		}
		for _, i := range r.Interfaces()[len(numbers):] {
			number, err := o.AddInterface(i, alone && len(numbers) == 0)
			if errors.Is(err, observe.ErrInterfaces) {
				err = fmt.Errorf("%w beyond packet %d: %w", errFile, n, err)
			}
			if err != nil {
				return err
			}
			numbers = append(numbers, number)
		}
		if p.LinkType != capture.LinkTypeEthernet {
			o.stats.Foreign++
			continue
		}
		if !begun {
			if err := o.inOrder(numbers[p.Interface], p.Time); err != nil {
				return err
			}
			begun = true
		}
		if err := o.Frame(ctx, numbers[p.Interface], &p); err != nil {
			return err
		}
		if n%4096 == 4095 {
			o.index.save(o, false)
		}
	}
}

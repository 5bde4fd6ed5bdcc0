package main

import (
	"context"
	"errors"
	"io"
	"os"

	"arpeggio/arp/versioned"
	"arpeggio/internal/flows"
	"arpeggio/internal/history"
	"arpeggio/stack/ethernet"
)

type whoCmd struct {
	repoFlags
	networkFlags
	Branch  string `placeholder:"NAME" help:"The branch to ask (HEAD's)."`
	Flows   string `required:"" placeholder:"FILE" help:"Flow records, CSV with a header line; - is standard input."`
	TimeCol string `placeholder:"NAME" help:"The column of the time, such as ts, start or first."`
	SrcCol  string `placeholder:"NAME" help:"The column of the source address, such as src, srcip or sa."`
	DstCol  string `placeholder:"NAME" help:"The column of the destination address, such as dst, dstip or da."`
	VlanCol string `placeholder:"NAME" help:"The column of the VLAN; without one it is as with at."`
}

func (*whoCmd) Help() string {
	return `Add to each flow the MAC addresses that held its two addresses at its time, and
who made them, in the columns src_mac, src_vendor, dst_mac and dst_vendor at the
end of the row. What was there stays as it was; what nobody held stays empty. The columns are found by the names that usual
tools give them. Times are those of the person where they name no zone, or seconds
(milliseconds, …) since 1970. Exit codes: 0 ok, 1 failure, 2 usage.

Examples:

  arpeggio who --repo arp.git --flows flows.csv > with-macs.csv
  nfdump -r nfcapd.current -o csv | arpeggio who --repo arp.git --flows -`
}

func (c *whoCmd) Run(ctx context.Context) (err error) {
	in, err := c.networks()
	if err != nil {
		return err
	}
	var r io.Reader = os.Stdin
	if c.Flows != "-" {
		f, err := os.Open(c.Flows)
		if err != nil {
			return err
		}
		defer f.Close()
		r = f
	}
	s, err := c.open(ctx, printFlags{Color: "never", NoPager: true})
	if err != nil {
		return err
	}
	defer s.close(&err)
	a, _, err := s.asker(ctx, c.Branch, 0)
	if err != nil {
		return err
	}
	defer a.Close()
	ambiguous := 0
	res, err := flows.Join(s.out, r, flows.Config{
		Columns: flows.Columns{Time: c.TimeCol, Source: c.SrcCol, Destination: c.DstCol, VLAN: c.VlanCol},
		Names:   []string{"mac", "vendor"}, Zone: s.Now.Location(),
		Answer: func(q flows.Question) ([]string, error) {
			ans, err := whoHeld(ctx, a, in, q)
			switch {
			case errors.Is(err, history.ErrAmbiguous):
				ambiguous++
				return nil, nil
			case errors.Is(err, history.ErrUnknown), err == nil && ans.Holder == nil:
				return nil, nil
			case err != nil:
				return nil, err
			}
			return []string{ans.Holder.MAC.String(), s.vendors.Name(ans.Holder.MAC)}, nil
		},
	})
	if errors.Is(err, flows.ErrColumn) {
		return withHint(err, "name the columns with --time-col, --src-col and --dst-col")
	}
	if err != nil {
		return err
	}
	if res.Strange > 0 {
		note("%s without a time or two addresses that can be read", count(res.Strange, "row"))
	}
	if ambiguous > 0 {
		note("%s in several networks: choose one with --domain", count(ambiguous, "address"))
	}
	return nil
}

// whoHeld answers for one end of a flow.
func whoHeld(ctx context.Context, a *history.Asker, in history.Networks, q flows.Question) (versioned.Answer, error) {
	if in.VLAN == nil && q.VLAN != "" {
		if v, err := ethernet.ParseVLAN(q.VLAN); err == nil {
			in.VLAN = &v
		}
	}
	k, _, err := a.Key(ctx, q.Addr, in)
	if err != nil {
		return versioned.Answer{}, err
	}
	return a.Held(ctx, k, q.Time)
}

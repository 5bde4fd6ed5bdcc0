package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime/pprof"
	"testing"
	"time"
)

// With BENCH set, the test binary prints the table instead of testing: a single
// stream that shows each figure as it is taken. BENCH=full takes longer ones,
// too; ONLY is a regular expression that picks figures; BENCH_JSON names a file
// for a JSON object a row, BENCH_CPUPROFILE one for a profile of the whole run.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		os.Exit(play(role))
	}
	if os.Getenv("BENCH") != "" {
		os.Exit(printFigures())
	}
	os.Exit(m.Run())
}

// figures are taken in this order.
var figures = []struct {
	name string
	take func(context.Context, *board)
}{
	{"commits", commits},
	{"enqueue", enqueue},
	{"retained", retained},
	{"durable", durable},
	{"trees", trees},
	{"clone", clone},
	{"log", logKey},
	{"record", record},
	{"arpwatch", arpwatch},
	{"goodput", goodput},
}

// board takes rows for the report.
type board struct {
	Report
	full bool
	sect string
}

func (b *board) section(name string) { b.sect = name }

func (b *board) add(r Row) {
	r.Section = b.sect
	b.Report.Add(r)
}

func (b *board) fail(name string, err error) { b.add(Row{Name: name, Error: err.Error()}) }

func printFigures() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	only, err := regexp.Compile(os.Getenv("ONLY"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: ONLY:", err)
		return 2
	}
	b := &board{full: os.Getenv("BENCH") == "full"}
	b.Table = os.Stdout
	if name := os.Getenv("BENCH_JSON"); name != "" {
		f, err := create(name)
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			return 2
		}
		defer f.Close()
		b.JSON = f
	}
	if name := os.Getenv("BENCH_CPUPROFILE"); name != "" {
		f, err := create(name)
		if err == nil {
			err = pprof.StartCPUProfile(f)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			return 2
		}
		defer pprof.StopCPUProfile()
	}
	start := time.Now()
	fmt.Print(Machine())
	for _, f := range figures {
		if only.MatchString(f.name) && ctx.Err() == nil {
			f.take(ctx, b)
		}
	}
	err = b.Finish()
	fmt.Printf("took %v\n", time.Since(start).Round(time.Second))
	if err != nil || ctx.Err() != nil {
		return 1
	}
	return 0
}

func create(name string) (io.WriteCloser, error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return nil, err
	}
	return os.Create(name)
}

package wiresuite

import (
	"fmt"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

type level string

const (
	must   level = "MUST"
	should level = "SHOULD"
)

// testCase is one judgement. The name says what the host has to do.
type testCase struct {
	level  level
	clause string // "RFC 826", "RFC 1122 §3.2.1.1"
	name   string
	run    func(*peer)
	when   when
	// timed cases are tried three times. A frame leaves later than the host means
	// it to where the machine is busy, and the time to the next one is short then.
	timed bool
	// kernel says why the Linux kernel fails it, ours why we do: a reason that
	// only a SHOULD can have.
	kernel, ours string
}

type when int

const (
	together when = iota
	slow          // waits for timers: begins before all others
	alone         // no other case runs: it spends a limit of the host
	minutes       // as slow, in the long run only
)

func allCases() []testCase {
	return slices.Concat(arpCases(), ipCases(), ipOptionCases(), fragmentCases(), icmpCases(), icmpErrorCases(), udpCases(), igmpCases(),
		tcpOpenCases(), tcpClosedCases(), tcpOptionCases(), tcpStateCases(), tcpCloseCases(), tcpResetCases(), tcpReceiveCases(),
		tcpSendCases(), tcpTimerCases(), tcpWindowCases(), tcpRecoveryCases(), tcpStampCases(), tcpICMPCases(), tcpECNCases(), tcpDialCases(), floodCases())
}

// verdict is what came of a case.
type verdict struct {
	testCase
	failed  string
	log     []string
	elapsed time.Duration
}

// parallel is how many cases that wait for nothing run at the same time.
const parallel = 12

// judge runs the cases that only names, those with minutes if long is set.
func judge(l *lan, only *regexp.Regexp, long bool) []*verdict {
	var all []*verdict
	for _, c := range allCases() {
		if only.MatchString(c.clause+" "+c.name) && (long || c.when != minutes) {
			all = append(all, &verdict{testCase: c})
		}
	}
	var wg sync.WaitGroup
	room := make(chan struct{}, parallel)
	for _, v := range all {
		if v.when == slow || v.when == minutes {
			wg.Go(func() { v.judge(l) })
		}
	}
	for _, v := range all {
		if v.when == together {
			room <- struct{}{}
			wg.Go(func() { defer func() { <-room }(); v.judge(l) })
		}
	}
	wg.Wait()
	for _, v := range all {
		if v.when == alone {
			v.judge(l)
		}
	}
	return all
}

// judge runs the case, again if it failed by time.
func (v *verdict) judge(l *lan) {
	for try := 0; try < 3; try++ {
		v.failed, v.log = "", nil
		if v.try(l); v.failed == "" || !v.timed {
			return
		}
	}
}

func (v *verdict) try(l *lan) {
	start := time.Now()
	var mu sync.Mutex
	over := false
	p := l.station(func(direction, text string) {
		mu.Lock()
		defer mu.Unlock()
		if over {
			return
		}
		if len(v.log) == 400 { // the beginning and the end tell most
			v.log = append(v.log[:100], v.log[101:]...)
		}
		v.log = append(v.log, fmt.Sprintf("%7.3f %s %s", time.Since(start).Seconds(), direction, text))
	})
	defer func() {
		mu.Lock()
		over = true
		mu.Unlock()
		v.elapsed = time.Since(start)
		switch r := recover().(type) {
		case nil:
		case failure:
			v.failed = r.text
		default:
			v.failed = fmt.Sprintf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	v.run(p)
}

// report prints the table and returns the failures without a reason.
func report(t *testing.T, host string, all []*verdict, reason func(testCase) string, verbose bool) (bad []*verdict) {
	counts := map[level][2]int{}
	var out strings.Builder
	for _, v := range all {
		n := counts[v.level]
		word := "passed"
		n[0]++
		if v.failed != "" {
			n[1]++
			word = "FAILED: " + v.failed
			if why := reason(v.testCase); why != "" {
				word = fmt.Sprintf("failed, known: %s (%s)", why, v.failed)
			} else {
				bad = append(bad, v)
			}
		}
		counts[v.level] = n
		fmt.Fprintf(&out, "%-6s %-22s %-90s %6.2f s  %s\n", v.level, v.clause, v.name, v.elapsed.Seconds(), word)
		if verbose && v.failed != "" {
			fmt.Fprintf(&out, "    %s\n", strings.Join(v.log, "\n    "))
		}
	}
	t.Logf("%s:\n%s%s: %d cases; MUST: %d, failed %d; SHOULD: %d, failed %d", host, out.String(), host, len(all),
		counts[must][0], counts[must][1], counts[should][0], counts[should][1])
	return bad
}

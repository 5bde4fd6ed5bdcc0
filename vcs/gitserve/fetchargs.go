package gitserve

import (
	"strconv"
	"strings"

	"arpeggio/vcs"
)

// fetchArgs is what a client asks of a fetch, in any protocol version.
type fetchArgs struct {
	wants, haves []vcs.ID
	shallow      []vcs.ID // commits whose parents the client lacks
	deepen       deepenArgs
	filter       filterSpec

	done, waitForDone  bool
	noProgress         bool
	includeTag         bool
	ofsDelta, thinPack bool
	maxWants, maxHaves int
}

// deepenArgs says where the history that the client receives shall end.
type deepenArgs struct {
	depth    int      // 0: not asked for
	relative bool     // depth counts from the client's present boundary
	since    int64    // seconds of Unix time, 0: not asked for
	not      []string // refs whose history is left out
}

// infiniteDepth is what `git fetch --unshallow` asks for.
const infiniteDepth = 1<<31 - 1

func (d *deepenArgs) asked() bool { return d.depth > 0 || d.byRevList() }

func (d *deepenArgs) byRevList() bool { return d.since > 0 || len(d.not) > 0 }

func (d *deepenArgs) check() error {
	if d.depth > 0 && d.byRevList() {
		return refuse(reasonShallow, "git upload-pack: deepen and deepen-since (or deepen-not) cannot be used together")
	}
	return nil
}

// wantsShallow reports whether the reply depends on shallow boundaries.
func (a *fetchArgs) wantsShallow() bool { return a.deepen.asked() || len(a.shallow) > 0 }

// parseCommon reads the lines that v0's want section and v2's fetch command
// have in common, want and have apart. ok is false for any other line.
func (a *fetchArgs) parseCommon(line string) (ok bool, err error) {
	key, value, _ := strings.Cut(line, " ")
	switch key {
	case "shallow":
		a.shallow, err = a.appendID(a.shallow, value, line, a.maxHaves, "shallow")
	case "deepen":
		n, perr := strconv.ParseInt(value, 10, 32)
		if perr != nil || n <= 0 {
			return true, refuse(reasonShallow, "Invalid deepen: %s", line)
		}
		a.deepen.depth = int(n)
	case "deepen-since":
		n, perr := strconv.ParseInt(value, 10, 64)
		if perr != nil || n <= 0 {
			return true, refuse(reasonShallow, "Invalid deepen_since: %s", line)
		}
		a.deepen.since = n
	case "deepen-not":
		if value == "" || len(a.deepen.not) == maxDeepenNot {
			return true, refuse(reasonShallow, "Invalid deepen-not: %s", line)
		}
		a.deepen.not = append(a.deepen.not, value)
	case "filter":
		if a.filter.kind != filterNone {
			return true, refuse(reasonFilter, "multiple filters are not supported")
		}
		a.filter, err = parseFilter(value)
	default:
		return false, nil
	}
	return true, err
}

// maxDeepenNot bounds the deepen-not lines of one request.
const maxDeepenNot = 1024

func (a *fetchArgs) want(value, line string) (err error) {
	a.wants, err = a.appendID(a.wants, value, line, a.maxWants, "want")
	return err
}

func (a *fetchArgs) have(value, line string) (err error) {
	a.haves, err = a.appendID(a.haves, value, line, a.maxHaves, "have")
	return err
}

func (a *fetchArgs) appendID(ids []vcs.ID, value, line string, limit int, what string) ([]vcs.ID, error) {
	id, err := vcs.ParseID(value)
	if err != nil {
		return nil, refuse(reasonSyntax, "protocol error, expected to get object ID, not '%s'", line)
	}
	if len(ids) >= limit {
		return nil, refuse(reasonLimit, "more than %d '%s' lines in one request", limit, what)
	}
	return append(ids, id), nil
}

// parseV2 reads one argument line of the v2 command fetch.
func (a *fetchArgs) parseV2(line string) error {
	switch key, value, _ := strings.Cut(line, " "); key {
	case "want":
		return a.want(value, line)
	case "have":
		return a.have(value, line)
	}
	switch line {
	case "done":
		a.done = true
	case "wait-for-done":
		a.waitForDone = true
	case "thin-pack":
		a.thinPack = true
	case "ofs-delta":
		a.ofsDelta = true
	case "no-progress":
		a.noProgress = true
	case "include-tag":
		a.includeTag = true
	case "deepen-relative":
		a.deepen.relative = true
	default:
		ok, err := a.parseCommon(line)
		if err == nil && !ok {
			return refuse(reasonSyntax, "unexpected line: '%s'", line)
		}
		return err
	}
	return nil
}

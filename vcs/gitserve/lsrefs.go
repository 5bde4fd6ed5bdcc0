package gitserve

import (
	"fmt"
	"strings"

	"arpeggio/vcs"
)

// maxPrefixes is stock git's bound: a client that lists more ref-prefix lines
// is sent every ref, which the protocol allows.
const maxPrefixes = 65536

// lsRefsArgs are the arguments of the v2 command ls-refs.
type lsRefsArgs struct {
	peel, symrefs, unborn bool
	prefixes              []string // nil: all refs
	all                   bool     // too many prefixes
}

func (a *lsRefsArgs) parse(line string) error {
	switch {
	case line == "peel":
		a.peel = true
	case line == "symrefs":
		a.symrefs = true
	case line == "unborn":
		a.unborn = true
	default:
		prefix, ok := strings.CutPrefix(line, "ref-prefix ")
		if !ok {
			return refuse(reasonSyntax, "unexpected line: '%s'", line)
		}
		switch {
		case a.all:
		case len(a.prefixes) == maxPrefixes:
			a.all, a.prefixes = true, nil
		default:
			a.prefixes = append(a.prefixes, prefix)
		}
	}
	return nil
}

func (a *lsRefsArgs) match(name string) bool {
	if len(a.prefixes) == 0 {
		return true
	}
	for _, p := range a.prefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// lsRefs answers gitprotocol-v2(5), "ls-refs". Everything is read before the
// first byte is written, so that an error still has an ERR packet's place.
func lsRefs(w *pktWriter, objects vcs.ObjectReader, s *refSnapshot, a *lsRefsArgs) error {
	var lines []string
	if s.head != "" && a.match("HEAD") {
		symref := ""
		if a.symrefs {
			symref = " symref-target:" + s.head
		}
		if id, ok := s.lookup(s.head); ok {
			lines = append(lines, id.String()+" HEAD"+symref)
		} else if a.unborn && a.symrefs {
			lines = append(lines, "unborn HEAD"+symref)
		}
	}
	for _, r := range s.refs {
		if !a.match(r.Name) {
			continue
		}
		line := r.Target.String() + " " + r.Name
		if a.peel {
			id, ok, err := peel(objects, r)
			if err != nil {
				return err
			}
			if ok {
				line += " peeled:" + id.String()
			}
		}
		lines = append(lines, line)
	}
	for _, line := range lines {
		w.linef("%s\n", line)
	}
	w.flush()
	return w.err
}

// advertiseRefs writes the ref advertisement of protocol v0 and v1
// (gitprotocol-pack(5), "Reference Discovery").
func advertiseRefs(w *pktWriter, objects vcs.ObjectReader, s *refSnapshot, caps string) error {
	var lines []string
	if id, ok := s.lookup(s.head); ok {
		lines = append(lines, id.String()+" HEAD")
		caps = fmt.Sprintf("%s symref=HEAD:%s", caps, s.head)
	}
	for _, r := range s.refs {
		lines = append(lines, r.Target.String()+" "+r.Name)
		id, ok, err := peel(objects, r)
		if err != nil {
			return err
		}
		if ok {
			lines = append(lines, id.String()+" "+r.Name+"^{}")
		}
	}
	if len(lines) == 0 {
		lines = []string{vcs.ID{}.String() + " capabilities^{}"}
	}
	for i, line := range lines {
		if i == 0 {
			line += "\x00" + caps
		}
		w.linef("%s\n", line)
	}
	w.flush()
	return w.err
}

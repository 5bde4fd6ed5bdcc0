package main

import (
	"fmt"
	"strconv"
	"time"

	"arpeggio/arp/versioned"
)

// recordFlags say how the table's changes become commits: in which words, and
// how much of a flood (docs/arp-record.md).
type recordFlags struct {
	compatFlags
	Noise noiseFlags `embed:"" prefix:"noise-"`
}

// compatFlags choose the words of commits.
type compatFlags struct {
	Compat string `enum:"none,2015" default:"none" help:"Subjects of commits as in 2015: 2015 (${default})."`
}

// noiseFlags are versioned.Noise; 0 is its default.
type noiseFlags struct {
	Alone            int           `placeholder:"N" help:"So many changes in a row have commits of their own; then floods are folded (100)."`
	Keep             int           `placeholder:"N" help:"So many new or changed entries in a row are kept, alone or folded (2048)."`
	PerMinute        int           `placeholder:"N" help:"So many come back each minute: of what nobody asked for, and of failed queries (10)."`
	AnswersPerMinute int           `placeholder:"N" help:"The same of answers to own queries and of expiries (60)."`
	MaxEntries       int           `placeholder:"N" help:"Entries in the record (65536)."`
	MaxFold          time.Duration `placeholder:"TIME" help:"Longest time between two commits of a flood (1m)."`
	Unbounded        bool          `help:"Fold nothing: a commit for each change, whatever comes."`
}

// check refuses what makes no sense.
func (f *recordFlags) check() error {
	n := &f.Noise
	for name, v := range n.numbers() {
		if *v < 0 {
			return usagef("--noise-%s %d: want a positive number", name, *v)
		}
	}
	if n.MaxFold < 0 {
		return usagef("--noise-max-fold %v: want a positive time such as 1m", n.MaxFold)
	}
	return nil
}

// wording returns what the value of --compat stands for.
func (f *compatFlags) wording() versioned.Wording {
	if f.Compat == "2015" {
		return versioned.Wording2015
	}
	return versioned.WordingOwn
}

// words are the flags on a guest's kernel command line: those that are set.
func (f *recordFlags) words(w map[string]string) {
	if f.Compat != "" && f.Compat != "none" {
		w["compat"] = f.Compat
	}
	for name, v := range f.Noise.numbers() {
		if *v != 0 {
			w["noise-"+name] = strconv.Itoa(*v)
		}
	}
	if f.Noise.MaxFold != 0 {
		w["noise-max-fold"] = f.Noise.MaxFold.String()
	}
	if f.Noise.Unbounded {
		w["noise-unbounded"] = "1"
	}
}

// numbers are the flags that are numbers, by name.
func (n *noiseFlags) numbers() map[string]*int {
	return map[string]*int{"alone": &n.Alone, "keep": &n.Keep, "per-minute": &n.PerMinute, "answers-per-minute": &n.AnswersPerMinute, "max-entries": &n.MaxEntries}
}

// parse reads what words wrote.
func (f *recordFlags) parse(w map[string]string) error {
	bad := func(name string) error {
		return fmt.Errorf("arpeggio.%s=%s on the kernel's command line makes no sense", name, w[name])
	}
	f.Compat = w["compat"]
	if f.Compat != "" && f.Compat != "2015" {
		return bad("compat")
	}
	for name, v := range f.Noise.numbers() {
		text, ok := w["noise-"+name]
		if !ok {
			continue
		}
		var err error
		if *v, err = strconv.Atoi(text); err != nil {
			return bad("noise-" + name)
		}
	}
	if text, ok := w["noise-max-fold"]; ok {
		var err error
		if f.Noise.MaxFold, err = time.ParseDuration(text); err != nil {
			return bad("noise-max-fold")
		}
	}
	f.Noise.Unbounded = w["noise-unbounded"] == "1"
	return f.check()
}

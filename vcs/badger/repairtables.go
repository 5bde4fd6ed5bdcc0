package badger

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// tables checks the tables that the manifest names, the manifest, and the
// write-ahead logs.
func (r *repair) tables() error {
	levels, cut, err := readManifest(r.dir)
	suspect := err != nil
	if suspect {
		r.note("%s could not be read (%v) and was made again from the tables", manifestName, err)
		levels = make(map[uint64]uint8)
	}
	scans := make(map[uint64]tableScan)
	names, err := r.files(".sst")
	if err != nil {
		return err
	}
	for _, name := range names {
		id, err := strconv.ParseUint(strings.TrimSuffix(name, ".sst"), 10, 64)
		if err != nil {
			continue // none of badger's
		}
		b, err := r.read(name)
		if err != nil {
			return err
		}
		scans[id] = scanTable(b, nil)
		if scans[id].bad == 0 {
			continue
		}
		if mended, err := r.mend(name, b, mendTable); err != nil {
			return err
		} else if mended {
			scans[id] = scanTable(b, nil)
		}
	}
	var newest uint64 // transaction in a table that is listed
	for id := range levels {
		newest = max(newest, scans[id].newest)
	}
	if !allListed(scans, levels) && cut {
		// What took a missing table's place is among those that are not listed.
		if n := len(dropMissing(levels, scans)); n > 0 {
			suspect = true
			r.note("the last change of %s is cut off, and it was made again from the tables", manifestName)
		}
	}
	for _, id := range dropMissing(levels, scans) {
		suspect = true
		r.broken(tableName(id), "the table is missing; what it held is lost")
	}
	logs, err := r.logs(newest)
	if err != nil {
		return err
	}
	elsewhere := func(s tableScan) bool {
		return s.newest <= newest || slices.ContainsFunc(logs, func(w wal) bool { return w.first <= s.newest && s.newest <= w.last })
	}
	for id, s := range scans {
		// A table that is not listed is what a crash left of a compaction: its
		// contents are elsewhere, too. Not so if it is newer than all that is
		// listed, and no log has what it has.
		if _, ok := levels[id]; !ok && s.bad == 0 && !elsewhere(s) && !suspect {
			suspect = true
			r.note("%s does not name %s and was made again from the tables", manifestName, tableName(id))
		}
	}
	bad := slices.DeleteFunc(slices.Sorted(maps.Keys(scans)), func(id uint64) bool {
		_, listed := levels[id]
		return scans[id].bad == 0 || !listed && !suspect
	})
	if !suspect && len(bad) == 0 {
		return nil
	}
	if err := r.aside(manifestName); err != nil {
		return err
	}
	if suspect {
		r.doubt = true
		clear(levels)
		for id := range scans {
			levels[id] = 0 // where tables may overlap
		}
	}
	if err := r.replace(levels, scans, bad); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(r.dir, manifestName), encodeManifest(levels)); err != nil {
		return err
	}
	for _, id := range bad {
		if err := r.remove(tableName(id)); err != nil {
			return err
		}
	}
	return nil
}

// allListed reports whether a manifest names all tables that are there.
func allListed(there map[uint64]tableScan, levels map[uint64]uint8) bool {
	for id := range there {
		if _, ok := levels[id]; !ok {
			return false
		}
	}
	return true
}

// dropMissing takes the tables that are not there out of a manifest and returns
// them, in order.
func dropMissing(levels map[uint64]uint8, there map[uint64]tableScan) (missing []uint64) {
	for _, id := range slices.Sorted(maps.Keys(levels)) {
		if _, ok := there[id]; !ok {
			delete(levels, id)
			missing = append(missing, id)
		}
	}
	return missing
}

// replace puts tables with what is readable in the place of damaged ones, which
// are set aside.
func (r *repair) replace(levels map[uint64]uint8, scans map[uint64]tableScan, bad []uint64) error {
	var next uint64
	for id := range scans {
		next = max(next, id+1)
	}
	for _, id := range bad {
		name := tableName(id)
		if err := r.aside(name); err != nil {
			return err
		}
		b, err := r.read(name)
		if err != nil {
			return err
		}
		var kept []entry
		s := scanTable(b, func(e entry) { kept = append(kept, e) })
		if s.noIndex {
			r.broken(name, "the index is damaged; %d entries could be read in %d blocks", len(kept), s.blocks)
		} else {
			r.broken(name, "%d of %d blocks are damaged; %d entries could be read", s.bad, s.blocks, len(kept))
		}
		delete(levels, id)
		if data := buildTable(kept); data != nil {
			if err := writeFile(filepath.Join(r.dir, tableName(next)), data); err != nil {
				return err
			}
			levels[next] = 0 // a damaged key may lie anywhere
			next++
		}
	}
	return nil
}

// logs checks the write-ahead logs, oldest first, and cuts off what is behind
// the last whole transaction. Before is the newest transaction in the tables.
func (r *repair) logs(before uint64) ([]wal, error) {
	names, err := r.files(".mem")
	if err != nil {
		return nil, err
	}
	var logs []wal
	for _, name := range names {
		b, err := r.read(name)
		if err != nil {
			return nil, err
		}
		w := readWAL(name, b)
		if w.tail > 0 {
			if mended, err := r.mend(name, b, mendWAL); err != nil {
				return nil, err
			} else if mended {
				w = readWAL(name, b)
			}
		}
		logs = append(logs, w)
	}
	cut := "" // the log in which the sequence of transactions ends
	for i := range logs {
		w := &logs[i]
		switch {
		case cut != "" && (w.end > walHeader || w.tail > 0):
			r.broken(w.name, "%d bytes of transactions follow those that %s lost", w.end, cut)
			if err := r.cut(w, walHeader, true); err != nil {
				return nil, err
			}
			w.last = 0
			continue
		case w.key:
			r.note("%s had a damaged header", w.name)
			if err := r.clearKey(w); err != nil {
				return nil, err
			}
		}
		if w.last > 0 {
			before = w.last
		}
		if w.tail == 0 {
			if w.end == 0 {
				// Not even the first byte: badger does not open a directory with it.
				if err := r.remove(w.name); err != nil {
					return nil, err
				}
			} else if w.size > int64(w.end) { // room for what was never written
				if err := r.cut(w, w.end, false); err != nil {
					return nil, err
				}
			}
			continue
		}
		cut = w.name
		lost := !w.torn(before)
		for _, later := range logs[i+1:] {
			lost = lost || later.end > walHeader || len(later.fins) > 0
		}
		if lost {
			r.broken(w.name, "transaction %d and what follows it cannot be read: %d bytes", before+1, w.tail)
		} else {
			r.note("%s ends in %d bytes of a write that was cut off or damaged", w.name, w.tail)
		}
		if err := r.cut(w, max(w.end, walHeader), lost); err != nil {
			return nil, err
		}
	}
	return logs, nil
}

// cut shortens a log, and keeps it as it was if that loses something.
func (r *repair) cut(w *wal, end int, keep bool) error {
	if keep {
		if err := r.aside(w.name); err != nil {
			return err
		}
	}
	if w.size < walHeader {
		return r.remove(w.name)
	}
	return r.change(w.name, func(f *os.File) error { return f.Truncate(int64(end)) })
}

// clearKey takes the number of a key that is none out of a log's header.
func (r *repair) clearKey(w *wal) error {
	return r.change(w.name, func(f *os.File) error {
		_, err := f.WriteAt(make([]byte, walKey), 0)
		return err
	})
}

// change changes a file durably.
func (r *repair) change(name string, fn func(*os.File) error) error {
	f, err := os.OpenFile(filepath.Join(r.dir, name), os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = fn(f)
		if err == nil {
			err = f.Sync()
		}
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}
	if err != nil {
		return fmt.Errorf("badger: repair %s: %w", name, err)
	}
	r.changed = true
	return nil
}

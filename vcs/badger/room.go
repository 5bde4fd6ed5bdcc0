package badger

import (
	"fmt"
	"log/slog"
	"strings"
)

// defaultMinFree holds a memtable's log, the table it becomes, and a
// compaction.
const defaultMinFree = 48 << 20

func minFree(dir string, configured int64) int64 {
	if configured != 0 {
		return configured
	}
	if _, total, ok := diskSpace(dir); ok {
		return min(defaultMinFree, total/8)
	}
	return defaultMinFree
}

// room reports whether there is space to write.
func (b *Backend) room() error {
	if b.minFree < 0 {
		return nil
	}
	if free, _, ok := diskSpace(b.dir); ok && free < b.minFree {
		return fmt.Errorf("%w: %d bytes free on %s, %d are needed; delete something or use a larger disk", ErrNoSpace, free, b.dir, b.minFree)
	}
	return nil
}

// logger hands badger's log lines to slog; its chatter is debugging.
type logger struct{ l *slog.Logger }

func (l logger) line(f string, args []any) string {
	return "badger: " + strings.TrimSpace(fmt.Sprintf(f, args...))
}

func (l logger) Errorf(f string, args ...any)   { l.l.Error(l.line(f, args)) }
func (l logger) Warningf(f string, args ...any) { l.l.Warn(l.line(f, args)) }
func (l logger) Infof(f string, args ...any)    { l.l.Debug(l.line(f, args)) }
func (l logger) Debugf(f string, args ...any)   { l.l.Debug(l.line(f, args)) }

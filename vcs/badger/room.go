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
func (b *Backend) room() error { return b.roomFor(b.minFree) }

// roomFor reports whether so many bytes are free.
func (b *Backend) roomFor(need int64) error {
	if b.minFree < 0 {
		return nil
	}
	if free, _, ok := diskSpace(b.dir); ok && free < need {
		return fmt.Errorf("%w: %d bytes free on %s, %d are needed; delete something or use a larger disk", ErrNoSpace, free, b.dir, need)
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

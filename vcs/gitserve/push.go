package gitserve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
)

// Writer is what a push needs of the repository besides reading it; a
// vcs.Store is one. Both methods are safe for concurrent use.
//
// A Writer that also has the method Sync(context.Context) error is asked to make
// a push durable before the client hears that it succeeded.
type Writer interface {
	// AddObjects stores objects, each after those that it names. Those that are
	// there already are no error. Without a ref they are garbage.
	AddObjects(ctx context.Context, objs []vcs.Object) error
	// UpdateRefs moves refs by compare-and-swap, all of them or none. The error
	// wraps vcs.ErrRefMoved when a ref holds another value, and
	// vcs.ErrBadRefName when the names clash.
	UpdateRefs(ctx context.Context, updates []vcs.RefUpdate) error
}

// PushConfig configures writing. Writer and Authorize must be set.
type PushConfig struct {
	// Writer stores what is pushed; the Handler's Repository reads it back.
	Writer Writer
	// Authorize says what the client of a request may do. An error that wraps
	// ErrUnauthorized makes git ask its user for a password (or take it from the
	// URL); any other one refuses with its text. Tokens.Authorize is ready-made.
	Authorize func(r *http.Request) (Grant, error)
	// Accept, when not nil, has the last word about each update, when all else
	// is checked and nothing stored: objects reads the pushed objects and the
	// repository's. Its error is told to the client, as a *Refusal in the words
	// of that.
	Accept func(ctx context.Context, u Update, objects vcs.ObjectReader) error
	// Limits bound the pack of a push. Their defaults are those of package
	// packfile.
	Limits packfile.Limits
	// Scratch lends room for a pack, and a function to give it back. Nil means
	// memory, Limits.PackBytes at most for each push.
	Scratch func() (s packfile.Scratch, release func(), err error)
	// MaxUpdates bounds the refs of one push; default 1024.
	MaxUpdates int
	// MaxConcurrent bounds the pushes that are taken in at one time; more wait
	// for their turn. Default 2.
	MaxConcurrent int
	// ReadTimeout ends a push whose client sends nothing for so long; default
	// one minute. It replaces the http.Server's ReadTimeout.
	ReadTimeout time.Duration
}

func (c PushConfig) withDefaults() *PushConfig {
	if c.MaxUpdates <= 0 {
		c.MaxUpdates = 1024
	}
	if c.MaxConcurrent <= 0 {
		c.MaxConcurrent = 2
	}
	if c.ReadTimeout <= 0 {
		c.ReadTimeout = time.Minute
	}
	if c.Limits.PackBytes <= 0 {
		c.Limits.PackBytes = 64 << 20
	}
	return &c
}

// Grant is what one client may do.
type Grant struct {
	// Name stands in the server's log for the client.
	Name string
	// Allow is asked for each update. Nil allows nothing. Its error is told to
	// the client, as a *Refusal in the words of that.
	Allow func(u Update) error
}

// Update is a change of one ref that a client asks for.
type Update struct {
	vcs.RefUpdate
	Kind UpdateKind
	// Unrelated: the new commit shares no history with the old one (Force) or
	// with anything in the repository (Create).
	Unrelated bool
}

// UpdateKind says what becomes of a ref.
type UpdateKind uint8

const (
	Create      UpdateKind = iota
	FastForward            // the new commit contains the old one
	Force                  // it does not, or one of them is no commit
	Delete
)

// String returns the right that the kind needs, as Rules call it.
func (k UpdateKind) String() string {
	switch k {
	case Create:
		return "create"
	case FastForward:
		return "update"
	case Force:
		return "force"
	case Delete:
		return "delete"
	}
	return "unknown"
}

// ErrUnauthorized marks requests whose client is not known.
var ErrUnauthorized = errors.New("gitserve: authentication required")

// Refusal refuses the update of one ref.
type Refusal struct {
	// Reason is what git prints in parentheses behind the ref, such as
	// "deletion prohibited"; one short line.
	Reason string
	// Message is a sentence for the user, shown as "remote: error: …"; may be
	// empty.
	Message string
	counted string // key of Stats.Refused
}

// Error implements error.
func (r *Refusal) Error() string {
	if r.Message == "" {
		return r.Reason
	}
	return r.Reason + ": " + r.Message
}

// asRefusal words the error of a hook.
func asRefusal(err error) *Refusal {
	var r *Refusal
	if !errors.As(err, &r) {
		r = &Refusal{Reason: "hook declined", Message: err.Error()}
	}
	return &Refusal{Reason: r.Reason, Message: r.Message, counted: reasonPolicy}
}

func refuseRef(counted, reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Message: fmt.Sprintf(format, args...), counted: counted}
}

package packfile

import (
	"errors"
	"hash"
	"testing"

	"github.com/pjbgf/sha1cd"

	"arpeggio/vcs"
)

type colliding struct{ hash.Hash }

func (colliding) CollisionResistantSum(b []byte) ([]byte, bool) { return b[:cap(b)], true }

// TestNames: Git's names, and an error where the hash recognises an attack.
func TestNames(t *testing.T) {
	p := &Pack{hash: sha1cd.New()}
	for _, content := range []string{"", "x", "hello\n"} {
		id, err := p.name(vcs.KindBlob, []byte(content))
		if want := vcs.HashObject(vcs.KindBlob, []byte(content)); err != nil || id != want {
			t.Errorf("%q: %v, %v, want %v", content, id, err, want)
		}
	}
	p.hash = colliding{sha1cd.New()}
	if _, err := p.name(vcs.KindBlob, nil); !errors.Is(err, ErrCollision) {
		t.Errorf("collision: %v", err)
	}
}

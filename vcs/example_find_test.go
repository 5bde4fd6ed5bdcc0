package vcs_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// An object that somebody names by its id alone, as a partial clone does, is found
// wherever in the history it is.
func ExampleStore_FindObjects() {
	ctx := context.Background()
	r, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	for _, v := range []string{"first\n", "second\n"} {
		if _, err := r.Set(ctx, "primary", "key", v, vcs.CommitInfo{}); err != nil {
			log.Fatal(err)
		}
	}
	id := vcs.HashObject(vcs.KindBlob, []byte("first\n"))
	if err := r.Store().FindObjects(ctx, id); err != nil {
		log.Fatal(err)
	}
	kind, content, err := r.Store().ReadObject(id)
	fmt.Printf("%v %q %v\n", kind, content, err)
	// Output: blob "first\n" <nil>
}

// Somebody who takes objects in, from a pack say, looks whether all that they lead
// to is here, and adds them if nothing has left meanwhile.
func ExampleStore_AddObjectsSettled() {
	ctx := context.Background()
	r, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	s := r.Store()
	objects := []vcs.Object{{Kind: vcs.KindBlob, Content: []byte("pushed\n")}}
	for {
		settled, err := s.Settled(ctx)
		if err != nil {
			log.Fatal(err)
		}
		// Here is where to look.
		err = s.AddObjectsSettled(ctx, objects, settled)
		if errors.Is(err, vcs.ErrLeft) {
			continue // look again
		}
		fmt.Println(err)
		break
	}
	// Output: <nil>
}

package bench

import (
	"strings"
	"testing"
)

// TestQuestions asks all of them once or twice, of a small record.
func TestQuestions(t *testing.T) {
	var out strings.Builder
	b := &board{}
	b.Table = &out
	if err := b.record(t.Context(), t.TempDir(), 3000, 150, 3); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"make the index", "log IP --mentions", "show COMMIT", "diff T1..T2", "table TIME"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no row %q:\n%s", want, out.String())
		}
	}
}

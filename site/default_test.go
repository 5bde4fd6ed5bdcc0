package site_test

import (
	"bytes"
	"io/fs"
	"strings"
	"testing"

	"arpeggio/site"
)

func TestDefaultSite(t *testing.T) {
	h := newSite(t, site.Config{})
	for p, code := range map[string]int{"/": 200, "/how/": 200, "/favicon.svg": 200, "/style.css": 200, "/nothing": 404} {
		res := ask(h, "GET", p)
		if b := body(t, res); res.StatusCode != code || len(b) < 100 {
			t.Errorf("%s: %d, %d octets", p, res.StatusCode, len(b))
		}
	}
}

// Nothing outside the machine may be needed to show the pages: no address of
// another host is loaded, and every local link leads somewhere.
func TestDefaultSiteStandsAlone(t *testing.T) {
	h := newSite(t, site.Config{})
	err := fs.WalkDir(site.Default(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".html") {
			return err
		}
		b, err := fs.ReadFile(site.Default(), name)
		if err != nil {
			return err
		}
		for _, attr := range []string{`src="`, `href="`} {
			for _, part := range bytes.Split(b, []byte(attr))[1:] {
				link, _, _ := strings.Cut(string(part), `"`)
				switch {
				case strings.HasPrefix(link, "#"):
					if !bytes.Contains(b, []byte(`id="`+link[1:]+`"`)) {
						t.Errorf("%s links to %s, which it does not have", name, link)
					}
				case strings.HasPrefix(link, "http://127.0.0.1:8081/"): // the management address of make run
				case strings.HasPrefix(link, "/"):
					p, _, _ := strings.Cut(link, "#")
					if res := ask(h, "GET", p); res.StatusCode != 200 {
						t.Errorf("%s links to %s: status %d", name, link, res.StatusCode)
					}
				default:
					t.Errorf("%s links to %s", name, link)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

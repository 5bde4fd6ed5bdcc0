package site

import (
	"path"
	"strings"
)

// mediaType is what a file name's extension says about its content. The table
// is fixed: what the operating system has in its mime database must not change
// what a site serves.
type mediaType struct {
	name  string
	dense bool // compressed already: no .br, .zst or .gz beside it is looked for
	asset bool // a part of a page, which build tools put fingerprints into
}

var unknownType = mediaType{name: "application/octet-stream", dense: true}

// typeOf returns the media type for a file name. Names without a known
// extension are octets: browsers save them and, told nosniff, do not guess.
func typeOf(name string) mediaType {
	switch strings.ToLower(path.Ext(name)) {
	case ".html", ".htm":
		return mediaType{name: "text/html; charset=utf-8"}
	case ".css":
		return mediaType{name: "text/css; charset=utf-8", asset: true}
	case ".js", ".mjs":
		return mediaType{name: "text/javascript; charset=utf-8", asset: true}
	case ".json":
		return mediaType{name: "application/json", asset: true}
	case ".map":
		return mediaType{name: "application/json", asset: true}
	case ".webmanifest":
		return mediaType{name: "application/manifest+json"}
	case ".xml":
		return mediaType{name: "application/xml"}
	case ".atom":
		return mediaType{name: "application/atom+xml"}
	case ".rss":
		return mediaType{name: "application/rss+xml"}
	case ".xhtml":
		return mediaType{name: "application/xhtml+xml"}
	case ".txt", ".log", ".conf":
		return mediaType{name: "text/plain; charset=utf-8"}
	case ".md":
		return mediaType{name: "text/markdown; charset=utf-8"}
	case ".csv":
		return mediaType{name: "text/csv; charset=utf-8"}
	case ".ics":
		return mediaType{name: "text/calendar; charset=utf-8"}
	case ".vtt":
		return mediaType{name: "text/vtt; charset=utf-8"}
	case ".svg":
		return mediaType{name: "image/svg+xml", asset: true}
	case ".png":
		return mediaType{name: "image/png", dense: true, asset: true}
	case ".jpg", ".jpeg":
		return mediaType{name: "image/jpeg", dense: true, asset: true}
	case ".gif":
		return mediaType{name: "image/gif", dense: true, asset: true}
	case ".webp":
		return mediaType{name: "image/webp", dense: true, asset: true}
	case ".avif":
		return mediaType{name: "image/avif", dense: true, asset: true}
	case ".ico":
		return mediaType{name: "image/x-icon", asset: true}
	case ".woff":
		return mediaType{name: "font/woff", dense: true, asset: true}
	case ".woff2":
		return mediaType{name: "font/woff2", dense: true, asset: true}
	case ".ttf":
		return mediaType{name: "font/ttf", asset: true}
	case ".otf":
		return mediaType{name: "font/otf", asset: true}
	case ".wasm":
		return mediaType{name: "application/wasm", asset: true}
	case ".pdf":
		return mediaType{name: "application/pdf", dense: true}
	case ".mp3":
		return mediaType{name: "audio/mpeg", dense: true}
	case ".ogg", ".oga":
		return mediaType{name: "audio/ogg", dense: true}
	case ".flac":
		return mediaType{name: "audio/flac", dense: true}
	case ".wav":
		return mediaType{name: "audio/wav", dense: true}
	case ".mp4":
		return mediaType{name: "video/mp4", dense: true}
	case ".webm":
		return mediaType{name: "video/webm", dense: true}
	case ".zip":
		return mediaType{name: "application/zip", dense: true}
	case ".gz", ".tgz":
		return mediaType{name: "application/gzip", dense: true}
	case ".zst":
		return mediaType{name: "application/zstd", dense: true}
	case ".tar":
		return mediaType{name: "application/x-tar", dense: true}
	case ".pcap":
		return mediaType{name: "application/vnd.tcpdump.pcap", dense: true}
	}
	return unknownType
}

// isPage reports whether t is a document that people navigate to.
func (t mediaType) isPage() bool {
	return strings.HasPrefix(t.name, "text/html") || t.name == "application/xhtml+xml"
}

// Fingerprinted reports whether name looks as if a build tool had put a hash of
// the content into it: app.3f9a2c81.js, logo-3f9a2c81d0.svg. It wants eight or
// more lower-case hexadecimal digits, of which at least one is a letter and one
// a numeral (a date is not a hash), in the name of a style sheet, script, image
// or font.
func Fingerprinted(name string) bool {
	if !typeOf(name).asset {
		return false
	}
	stem := strings.TrimSuffix(path.Base(name), path.Ext(name))
	i := strings.LastIndexAny(stem, ".-")
	if i <= 0 {
		return false
	}
	hash := stem[i+1:]
	letters, numerals := 0, 0
	for _, c := range []byte(hash) {
		switch {
		case '0' <= c && c <= '9':
			numerals++
		case 'a' <= c && c <= 'f':
			letters++
		default:
			return false
		}
	}
	return letters+numerals >= 8 && letters > 0 && numerals > 0
}

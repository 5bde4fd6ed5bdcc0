package badger

// Small returns a configuration for a store that turns its files over every few
// hundred kilobytes.
func Small(cfg Config) Config {
	cfg.memTable = 1 << 20
	return cfg
}

// Magic is the application's number in the manifest.
const Magic = magic | version

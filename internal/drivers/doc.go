// Package drivers holds no code, but tests that run other people's network clients
// over our stack unchanged: lib/pq for PostgreSQL, go-sql-driver for MySQL, redigo
// for Redis, each against a small scripted server on another stack and, where one
// is installed, against the real server on the kernel's. Nothing but
// its tests imports those modules.
package drivers

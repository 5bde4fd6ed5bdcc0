// Package netns is an aid for tests and measurements that need interfaces of
// their own: it makes network namespaces of Linux, which vanish with them. It
// needs root and ip(8) of iproute2.
package netns

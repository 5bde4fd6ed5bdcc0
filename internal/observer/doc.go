// Package observer watches networks and writes down what it sees: frames come
// from interfaces or from capture files, arp/observe makes events of them, a
// versioned.Journal makes commits, and whoever prints or forwards events gets
// those that people should hear of.
//
// What is committed is a function of the frames with their timestamps, of the
// interfaces as the capture describes them (names, networks) and of Config. So
// a recording that a live run wrote gives, read into an empty repository, the
// commits of that run: the recording holds the frames in the order in which they
// were processed, the interfaces' networks, and how many frames the kernel lost.
//
// An observer sends nothing.
package observer

// Package sink tells people and programs of events: as a line of text, as a JSON
// object, as a syslog message in arpwatch's words, to a web server, to a command.
//
// Text, JSON and Message make bytes of an event, at once. Syslog, Webhook and
// Exec deliver events elsewhere: each has a queue of its own, that is bounded,
// and goroutines that empty it, so that a slow or dead receiver delays neither
// the observer nor the others. What finds the queue full is dropped and counted;
// the history has it all the same. Group hands an event to several.
package sink

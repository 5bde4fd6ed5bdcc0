// Package transfer brings the tables of other tools, as arp/exchange reads them,
// into a history, and makes such tables of a history.
package transfer

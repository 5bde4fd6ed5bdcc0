// Package tracecheck says whether a trace of a TCP connection is one that the
// specification allows (the idea of Netsem: a specification that can be asked
// about observed behaviour). It sees what one host sends and what arrives at it,
// at a point next to that host, and judges what the host sends: the first
// segment that a correct TCP would not have sent there, and the clause that says
// so. What arrives is never judged, only understood: anybody may send anything.
//
// The checker knows of the host only what the wire shows. So it keeps two
// pictures of what the host has taken in: the most that it can know (everything
// that has passed the point) and the least that it must know (what passed longer
// ago than Config.Slack). A host may do nothing that needs more than the most,
// and must act on the least. Where the point is the host's own machine, Slack is
// zero, both pictures are one, and the rules are sharp.
//
// It is for tests. The model is written from the RFCs and shares nothing with
// stack/tcp but the names of a segment's fields.
package tracecheck

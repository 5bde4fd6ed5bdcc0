// Package gitserve is a smart-HTTP Git server as an http.Handler: the reading
// side of gitprotocol-http(5) for stock clients of protocol v0, v1 and v2, over
// any store that reads objects and lists refs.
//
// It serves full, bare, mirror, incremental and shallow clones (--depth,
// --deepen, --shallow-since, --shallow-exclude, --unshallow) and the filters
// blob:none and blob:limit. Pushes are refused with a sentence that says so,
// and so is the dumb protocol.
//
// # Consistency
//
// Every HTTP request takes one snapshot of the refs and works on that, however
// fast writers move them meanwhile. Smart HTTP is stateless, so the want lines
// of a later request name tips of an earlier snapshot; the server therefore
// gives any object that the repository holds to a client that can name it, as
// stock git does in protocol v2. Do not rely on deleting a ref to hide what it
// led to.
//
// # Untrusted clients
//
// Request sizes, the number of refs wanted, offered and filtered by, and the
// number of concurrent pack computations are bounded by Config. A request that
// breaks the protocol is answered with Git's own ERR packet or an HTTP status
// and counted in Stats; it is never an error in the log.
package gitserve

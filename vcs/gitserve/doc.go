// Package gitserve is a smart-HTTP Git server as an http.Handler, for stock
// clients (gitprotocol-http(5)): reading in protocol v0, v1 and v2 from any
// store that reads objects and lists refs, and, where it is switched on,
// writing.
//
// It serves full, bare, mirror, incremental and shallow clones (--depth,
// --deepen, --shallow-since, --shallow-exclude, --unshallow) and the filters
// blob:none and blob:limit. The dumb protocol is refused with a sentence that
// says so, and so are pushes unless Config.Push allows them.
//
// # Consistency
//
// Every HTTP request takes one snapshot of the refs and works on that, however
// fast writers move them meanwhile. Smart HTTP is stateless, so the want lines
// of a later request name tips of an earlier snapshot; the server therefore
// gives any object that the repository holds to a client that can name it, as
// stock git does in protocol v2. What leaves a repository with an epoch stays
// readable for a short time (Config.Grace) for those who were told of it; later
// they are told to run their command again. Do not rely on deleting a ref to hide what it
// led to.
//
// # Pushes
//
// A pushed pack stays in quarantine, seen by nobody, until each object in it is
// found well-formed, every new tip complete with all that it leads to, and the
// update allowed: by the client's Grant and by the application (Accept). Then
// the objects that the allowed tips lead to are stored, parts before wholes, and
// each ref is moved by compare-and-swap against what the client saw, all
// together or none in a push --atomic. Nobody's update is lost: who comes too
// late is refused in stock git's words. The branch that HEAD names cannot be
// deleted. Push options and signed pushes are not offered.
//
// The repository is expected to be complete: that an object is there means that
// all it leads to is there.
//
// # Untrusted clients
//
// Request sizes, the number of refs wanted, offered and filtered by, and the
// number of concurrent pack computations are bounded by Config, what a push
// brings by PushConfig.Limits. A request that breaks the protocol is answered
// with Git's own ERR packet, a status report or an HTTP status and counted in
// Stats; it is never an error in the log.
package gitserve

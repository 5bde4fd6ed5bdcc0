package gitremote

import "errors"

// Sentinel errors; errors.Is finds them in what this package returns.
var (
	// ErrNotRepository: the directory holds something else than a bare Git
	// repository, or a form of one that cannot be used (SHA-256).
	ErrNotRepository = errors.New("gitremote: not a bare Git repository")
	// ErrForeignHistory: the directory's refs hold history that the source
	// does not know and that replacing them would lose.
	ErrForeignHistory = errors.New("gitremote: directory holds another history")
	// ErrLocked: another writer is at work in the directory.
	ErrLocked = errors.New("gitremote: directory is in use by another writer")
	// ErrBadPack: a pack that is cut short, does not match its checksum, or
	// holds malformed objects.
	ErrBadPack = errors.New("gitremote: bad pack")
	// ErrIncomplete: a pack or bundle that names objects which neither it nor
	// the directory holds.
	ErrIncomplete = errors.New("gitremote: objects are missing")
	// ErrBadBundle: input that is not a Git bundle of version 2.
	ErrBadBundle = errors.New("gitremote: bad bundle")
	// ErrBadURL: a URL that cannot be parsed or has an unsupported scheme.
	ErrBadURL = errors.New("gitremote: bad URL")
	// ErrUnreachable: no connection to the remote's host.
	ErrUnreachable = errors.New("gitremote: remote is unreachable")
	// ErrNotGitServer: the host answers, but not as a Git server.
	ErrNotGitServer = errors.New("gitremote: remote is not a Git server")
	// ErrNoRemoteRepository: the Git server has no repository of that name.
	ErrNoRemoteRepository = errors.New("gitremote: no such repository on the remote")
	// ErrPermission: the remote demands credentials, or refuses them.
	ErrPermission = errors.New("gitremote: permission denied by the remote")
	// ErrBrokenOff: the remote began to answer and then failed or went away.
	ErrBrokenOff = errors.New("gitremote: the remote broke off")
	// ErrRefspec: a refspec that makes no sense, or that matches nothing.
	ErrRefspec = errors.New("gitremote: bad refspec")
	// ErrRejected: some refs were not changed. The error is a *RejectedError.
	ErrRejected = errors.New("gitremote: some refs were not updated")
	// ErrRemoteRejected: the remote refused to change a ref: a hook, a
	// protected branch, a lock, or somebody who was faster.
	ErrRemoteRejected = errors.New("gitremote: the remote rejected the update")
	// ErrUnsupported: the remote, or a store, lacks an ability that is asked
	// for.
	ErrUnsupported = errors.New("gitremote: not supported")
)

// Package vcs is a mergeable, versioned key-value store whose every state is
// real Git: commits, trees and blobs with the ids that stock git computes.
package vcs

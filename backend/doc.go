// Package backend is the domain of Pitwall: its nouns, its verbs and the one
// interface, [Backend], that every door speaks.
//
// # The system in a page
//
// An operator declares apps and jobs. An app has processes, a process has
// instances (running copies), and every start of an instance is a numbered
// run. What an app was declared to be is a release; changing it makes a new
// one. A job starts runs of its own, by a schedule or by hand.
//
// Everything that changes something is a [Command], a plain value, given to
// [Backend.Do]. Every command becomes one [Operation] with steps, an outcome,
// an author and a reason, whichever door asked: a key in the console, the
// command line, or one of the HTTP APIs. Everything that did change is an
// [Event] with the next number of one counter, the index; an event carries the
// resource as it is after the change. A list is as of its index, and a watch
// from that index continues it without a gap.
//
// What is measured (CPU, memory, connections, rates) is a [Sample]: it bumps no
// index and is not kept. What a program writes is a log of [LogEntry] values,
// numbered from the pipe on, so that a reader can tell what it has not seen.
//
// Streams are [Feed] values, never channels: Next waits for one item and
// returns all that are queued, and says with a [LaggedError] what was missed.
//
// Errors that a caller must tell apart are an [*Error] with a [Code]; the code
// crosses every wire.
//
// The implementations are children of this package: local (in this process),
// remote (over HTTP and a websocket), guard (a Backend around a Backend that
// asks for permission), and the fake in backendtest. This package imports
// nothing but the standard library, and none of its children.
package backend

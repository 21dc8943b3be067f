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
// # The way of a key
//
// R in the console makes a Restart. Package remote sends it to the server's
// socket, api/native decodes it, and guard, a Backend around a Backend, asks
// whether the caller may and gives it to local. Local writes the operation down
// in sqlite, has the engine start a new instance, waits until that is ready,
// tells the edge (proxy) to drain the old one, and stops it. Each of these
// changes is an event in sqlite and, by way of hub, in every watch; remote hands
// it to the view, which shows the receipt.
//
// An engine runs instances. That of package engine/process gives each a keeper,
// a small process that outlives the server and writes what the program says to
// segments (logstore/segment); logstore reads, searches and counts these.
// Manifest makes an Apply of a file, wire is what remote and api/native agree
// on, and backendtest has a fake and the contract that every Backend passes.
//
// This package imports nothing but the standard library, and none of its
// children.
package backend

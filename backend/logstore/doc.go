// Package logstore reads the logs of every instance on this machine. Keepers
// write them, in the format of package segment; this package makes of them
// what operators ask for: lines with levels, merged over instances by time,
// searched, followed and resumed; errors a minute and last words; retention.
//
// # How it works
//
// [Store.Register] tells of an instance, [Store.Notify] that it has new output.
// A few workers then read what is new, count it, and keep the most recent lines
// of instances that someone follows, so that any number of followers share one
// reading. Everything else reads the disk on its own, in the goroutine that
// calls Next, and so costs nothing while nobody asks.
//
// # Order
//
// An instance's lines come in the order in which they were completed, and the
// time of a line is when its last byte was read. Both only ever grow. Lines of
// several instances are merged by (time, instance); while following, a line
// waits [reorderWindow] for older ones of other instances, and one that is
// later still is delivered when it comes.
//
// # Cursors
//
// A cursor names the last entry's time and instance, and what was delivered of
// each instance for which that does not say it, see [position].
package logstore

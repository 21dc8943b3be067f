// Package process is the engine whose instances are processes of this machine.
//
// Each running instance has a keeper, a small process of the same binary that
// holds the program's pipes, writes its log, applies its restart policy and
// learns its exit code (package keeper). The engine starts keepers, talks to
// them over their sockets, and adds what wants a view of more than one
// instance: ports, checks, usage, attachments, levels. Keepers and programs
// live on when the engine or its whole server dies; a new engine on the same
// folder adopts them by process id and start time, never by name.
//
// # Files
//
// STATE/instances/ID is the folder of an instance:
//
//	engine.json   what the engine was told of it, and its port
//	spec.json     what its keeper was told
//	state.json    what its keeper knows of the process
//	runs.jsonl    a record for the start and the end of each run
//	log/          the segments of its output
//	levels/       the levels file, and the loggers that the program announced
//	work/         the working directory, unless the spec names another
//
// # Who does what after a death
//
// The engine holds duplicates of the read ends of the program's pipes, which it
// never reads. When a keeper dies, the engine starts another one and hands it
// these, so the program never sees a broken pipe and no byte is lost. When the
// server dies, keepers go on alone. When both die and the program lives, the
// next engine starts a keeper without the pipes and says so in a notice. An
// exit that nobody could see is reported as unknown.
package process

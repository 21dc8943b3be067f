// Package keeper is the small process that owns one instance: its child, the
// pipes of its output, and its log. It is the same binary executed again, one
// for each instance, so that neither a dropped terminal nor a killed server
// takes an app down or loses a line.
//
// # Folder
//
// A keeper works in the instance's folder and needs nothing else:
//
//	spec.json    what to run and how; written by the engine before [Start]
//	state.json   what runs now, written before the child's program is executed
//	runs.jsonl   an object at each start and each exit; the later one of a run counts
//	keeper.sock  where the engine talks to it
//	keeper.log   the keeper's own troubles
//	log/         the output, see package segment
//
// # Life
//
// [Start] makes a keeper in a session of its own; [Dial] reaches one that
// runs; [Resume] replaces one that died. The program's main calls [Dispatch]
// before anything else, which is where a process learns that it is a keeper.
//
// A child is started held: a second copy of the binary waits, with the pipes in
// place, until the keeper has put it into its control groups and written its
// pid, its start time and the boot id to state.json; then it executes the
// program. If the keeper dies before that, it executes nothing. So there is no
// moment at which a program runs that no state names.
//
// When the program ends, so does the run: what it left behind is killed, its
// last bytes are stored, the exit is written and forced to disk, and the restart
// policy says what follows. Bytes go from pipe to file by splice(2), so none lies
// only in the keeper's memory; the duplicates of the pipes that a [Client] holds
// keep the child writing while a dead keeper is replaced. Where a file system
// refuses splice, at most one read of 64 KiB can be lost with the keeper.
//
// A disk that takes no bytes fills the pipe, which holds 1 MiB; then the oldest
// bytes are dropped and a gap record says how many, unless the spec says to
// block the child. (A disk that hangs inside a write holds up the child: the
// kernel locks the pipe meanwhile.)
//
// # Protocol
//
// The socket is of type SOCK_SEQPACKET: a packet is one JSON object, and can
// carry file descriptors. Both ends check that the other runs as the same user
// or root. A client sends requests {"id", "op", ...} and gets one reply
// {"id", "error" or "status"} each; the keeper pushes {"event"} in between.
//
//	hello     {"versions": [1]} -> {"version": 1, "status"}, with the pipes
//	status    -> {"status"}
//	stop      {"signal", "graceMs", "force"} -> when the run has ended
//	start     -> when the run has begun; reads spec.json again
//	restart   like stop, then start -> when the next run has begun
//	signal    {"signal"} to the process group
//	kill-tree every process of the run gets SIGKILL
//	pipes     -> with the pipes
//	shutdown  {"force"} -> the keeper ends; refused while the child runs, unless forced
//
// The read ends of the pipes come with the reply to hello and with each event
// "starting", which is sent before the program is executed. Version 1 is the
// first; a keeper's client speaks its own version and the one before.
package keeper

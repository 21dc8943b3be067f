package logstore

import (
	"slices"
	"sync"
	"time"

	"pitwall/backend"
	"pitwall/backend/logstore/segment"
)

// Source is an instance and where its log is.
type Source struct {
	Instance string
	AppID    string
	JobID    string
	Owner    string // name of the app or job
	Process  string
	Index    int
	Dir      string // of the segments
	Live     bool   // more output may come
	Policy   backend.LogPolicy
}

// owner is the id of the app or job.
func (src *Source) owner() string {
	if src.AppID != "" {
		return src.AppID
	}
	return src.JobID
}

// name is how people write the instance: "web main.0".
func (src *Source) name() string {
	if src.Process == "" {
		return src.Owner
	}
	return src.Owner + " " + backend.InstanceName(src.Process, src.Index)
}

// selectedBy reports whether a query selects the instance.
func (src *Source) selectedBy(q *backend.LogQuery) bool {
	if len(q.Apps)+len(q.Jobs)+len(q.Instances) > 0 {
		if !(src.AppID != "" && slices.Contains(q.Apps, src.AppID)) &&
			!(src.JobID != "" && slices.Contains(q.Jobs, src.JobID)) &&
			!slices.Contains(q.Instances, src.Instance) {
			return false
		}
	}
	return (q.Process == "" || src.Process == q.Process) && (q.Index == nil || src.Index == *q.Index)
}

// instance is what the store holds of a source.
type instance struct {
	id string

	// queued, running and again belong to the store's queue and are guarded
	// by its lock.
	queued, running, again bool

	mu       sync.Mutex
	src      Source
	known    bool // src is set
	ended    bool
	gone     bool // forgotten
	counter  counter
	bytes    int64         // what the log takes on disk
	sized    uint64        // lines before this number are in bytes
	st       state         // what ingest has read
	seen     state         // what it had read when the scanner was opened
	place    segment.Place // where it goes on
	primed   bool          // st and place are set
	recent   recent
	watchers map[*feed]int

	// dir and scan are touched by the worker that runs the instance, and by
	// the store when none does.
	dir  *segment.Dir
	scan *scanner
}

// describe takes over what is known, and reports whether it is the first time.
func (in *instance) describe(src Source) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	fresh := !in.known
	in.src, in.known, in.ended = src, true, !src.Live
	return fresh
}

func (in *instance) end() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.ended = true
}

func (in *instance) source() Source {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.src
}

func (in *instance) count(sum *Counters, now time.Time) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.counter.addTo(sum, now)
	sum.Bytes += in.bytes
}

// watch makes the instance keep recent items for a feed and wake it.
func (in *instance) watch(f *feed) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.watchers == nil {
		in.watchers = map[*feed]int{}
	}
	in.watchers[f]++
}

func (in *instance) unwatch(f *feed) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.watchers[f]--; in.watchers[f] <= 0 {
		delete(in.watchers, f)
	}
	if len(in.watchers) == 0 {
		in.recent.stop()
	}
}

// wake tells the feeds that follow that there is something. It is called with
// the lock held.
func (in *instance) wake() {
	for f := range in.watchers {
		f.poke()
	}
}

// forget marks the instance as no longer there.
func (in *instance) forget() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.gone, in.ended = true, true
	in.wake()
}

// closeFiles lets go of the scanner; place says where to go on.
func (in *instance) closeFiles() {
	if in.scan != nil {
		in.scan.close()
		in.scan = nil
	}
	if in.dir != nil {
		in.dir.Close()
		in.dir = nil
	}
}

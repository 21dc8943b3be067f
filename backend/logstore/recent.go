package logstore

const (
	// recentItems and recentBytes bound what is kept for followers of an
	// instance: about a second of a busy one. Who is further behind reads
	// the disk.
	recentItems = 4096
	recentBytes = 1 << 20
	// arenaSize is how much text shares one allocation.
	arenaSize = 32 << 10
)

// recent holds the last items of an instance while someone follows it, so that
// all followers share one reading.
type recent struct {
	on    bool
	from  state // before the first item
	base  uint64
	items []item // with texts of their own
	bytes int
	arena []byte
}

// begin starts to keep items, after what st has read.
func (r *recent) begin(st state) {
	*r = recent{on: true, from: st, base: r.base + uint64(len(r.items))}
}

// stop lets go of everything.
func (r *recent) stop() { *r = recent{base: r.base + uint64(len(r.items))} }

// add keeps a copy of an item.
func (r *recent) add(it *item) {
	kept := *it
	kept.text = r.copied(it.text)
	r.items = append(r.items, kept)
	r.bytes += len(kept.text)
	if len(r.items) > 2*recentItems || r.bytes > 2*recentBytes {
		r.trim()
	}
}

// trim drops the older half, so that moving what stays is rare.
func (r *recent) trim() {
	n := 0
	for n < len(r.items) && (len(r.items)-n > recentItems || r.bytes > recentBytes) {
		r.bytes -= len(r.items[n].text)
		n++
	}
	if n == 0 {
		return
	}
	r.from = r.items[n-1].after
	r.base += uint64(n)
	r.items = append(make([]item, 0, len(r.items)), r.items[n:]...)
}

func (r *recent) copied(text []byte) []byte {
	if len(text) > arenaSize/4 {
		return append([]byte(nil), text...)
	}
	if cap(r.arena)-len(r.arena) < len(text) {
		r.arena = make([]byte, 0, arenaSize)
	}
	n := len(r.arena)
	r.arena = append(r.arena, text...)
	return r.arena[n:len(r.arena):len(r.arena)]
}

// at returns item i, counted from the beginning of time; ok is false where it
// is no longer kept, more is false where it is not there yet.
func (r *recent) at(i uint64) (it *item, ok, more bool) {
	switch {
	case !r.on || i < r.base:
		return nil, false, false
	case i >= r.base+uint64(len(r.items)):
		return nil, true, false
	}
	return &r.items[i-r.base], true, true
}

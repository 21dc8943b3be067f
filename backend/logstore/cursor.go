package logstore

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"hash/fnv"

	"pitwall/backend"
)

// key orders the entries of several instances.
type key struct {
	time int64
	id   string // of the instance
}

// after reports whether k comes after l.
func (k key) after(l key) bool {
	return k.time > l.time || k.time == l.time && k.id > l.id
}

// position is what a cursor says: which entry was delivered last, the latest
// key that was delivered, and what else was.
//
// Of an instance that is not named, everything up to the key was delivered and
// nothing after it. That is so of every instance whose next entry is known,
// since an instance's times only grow; the others are named, with their state.
// Of a following query every instance it knows is named, with a state or by
// name alone: others join, with what they wrote since the floor.
type position struct {
	own    string // instance of the last entry
	seq    uint64 // its number; 0 for a run mark
	gap    bool   // it is a gap
	last   key
	follow bool
	floor  int64
	states []named
}

// named is what was delivered of one instance.
type named struct {
	hash  uint32
	exact bool // st says it; else the key does
	st    state
}

// of returns what is said of an instance.
func (p *position) of(id string) (named, bool) {
	h := hashOf(id)
	for _, n := range p.states {
		if n.hash == h {
			return n, true
		}
	}
	return named{}, false
}

// hashOf shortens an instance's id for a cursor.
func hashOf(id string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(id))
	return h.Sum32()
}

const (
	cursorVersion = 1
	maxNamed      = 1 << 16
	maxID         = 1 << 10

	flagFollow = 1 << 7
	flagGap    = 1 << 6

	namedExact  = 1 << 0
	namedExcept = 1 << 1
	namedMark   = 1 << 2
)

// encode writes the position as a cursor.
func (p *position) encode(buf []byte) (backend.Cursor, []byte) {
	b := buf[:0]
	head := byte(cursorVersion)
	if p.follow {
		head |= flagFollow
	}
	if p.gap {
		head |= flagGap
	}
	b = append(b, head)
	b = appendID(b, p.own)
	b = binary.AppendUvarint(b, p.seq)
	b = binary.AppendVarint(b, p.last.time)
	if p.last.id == p.own {
		b = append(b, 0)
	} else {
		b = appendID(append(b, 1), p.last.id)
	}
	if p.follow {
		b = binary.AppendVarint(b, p.floor)
	}
	for _, n := range p.states {
		b = binary.LittleEndian.AppendUint32(b, n.hash)
		flags := byte(0)
		if n.exact {
			flags |= namedExact
			if n.st.except != 0 {
				flags |= namedExcept
			}
			if n.st.mark != 0 {
				flags |= namedMark
			}
		}
		b = append(b, flags)
		if n.exact {
			b = binary.AppendUvarint(b, n.st.high)
		}
		if flags&namedExcept != 0 {
			b = binary.AppendUvarint(b, n.st.high-n.st.except)
		}
		if flags&namedMark != 0 {
			b = binary.AppendUvarint(b, n.st.mark)
		}
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(crc32.ChecksumIEEE(b)))
	return backend.Cursor(base64.RawURLEncoding.EncodeToString(b)), b
}

func appendID(b []byte, id string) []byte {
	b = binary.AppendUvarint(b, uint64(len(id)))
	return append(b, id...)
}

// parseCursor reads what encode wrote; it fails with Invalid for all else.
func parseCursor(c backend.Cursor) (*position, error) {
	bad := backend.Errorf(backend.Invalid, "the cursor %q is not one of a log query", shorten(string(c)))
	b, err := base64.RawURLEncoding.DecodeString(string(c))
	if err != nil || len(b) < 6 {
		return nil, bad
	}
	sum := binary.LittleEndian.Uint16(b[len(b)-2:])
	b = b[:len(b)-2]
	if uint16(crc32.ChecksumIEEE(b)) != sum || b[0]&^(flagFollow|flagGap) != cursorVersion {
		return nil, bad
	}
	r := cursorReader{b: b[1:]}
	p := &position{follow: b[0]&flagFollow != 0, gap: b[0]&flagGap != 0}
	p.own = r.id()
	p.seq = r.uvarint()
	p.last = key{time: r.varint(), id: p.own}
	if r.byte() != 0 {
		p.last.id = r.id()
	}
	if p.follow {
		p.floor = r.varint()
	}
	for len(r.b) > 0 && !r.bad && len(p.states) < maxNamed {
		p.states = append(p.states, r.named())
	}
	if r.bad || len(r.b) > 0 {
		return nil, bad
	}
	return p, nil
}

// cursorReader reads the parts of a cursor; bad is set once one is missing.
type cursorReader struct {
	b   []byte
	bad bool
}

func (r *cursorReader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	p := r.b[:n]
	r.b = r.b[n:]
	return p
}

func (r *cursorReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		n = -1
	}
	r.take(n)
	return v
}

func (r *cursorReader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		n = -1
	}
	r.take(n)
	return v
}

func (r *cursorReader) byte() byte {
	if p := r.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (r *cursorReader) id() string {
	n := r.uvarint()
	if n > maxID {
		r.bad = true
		return ""
	}
	return string(r.take(int(n)))
}

func (r *cursorReader) named() named {
	p := r.take(5)
	if p == nil {
		return named{}
	}
	n := named{hash: binary.LittleEndian.Uint32(p)}
	flags := p[4]
	n.exact = flags&namedExact != 0
	if n.exact {
		n.st.high = r.uvarint()
	}
	if flags&namedExcept != 0 {
		delta := r.uvarint()
		if delta >= n.st.high {
			r.bad = true
			return n
		}
		n.st.except = n.st.high - delta
	}
	if flags&namedMark != 0 {
		n.st.mark = r.uvarint()
	}
	if n.st.high > 1<<62 {
		r.bad = true
	}
	return n
}

// bounds returns what was delivered of an instance before the cursor's entry,
// where a state says it.
func (p *position) bounds(id string) (state, bool) {
	n, ok := p.of(id)
	if !ok || !n.exact {
		return state{}, false
	}
	st := n.st
	if id != p.own {
		return st, true
	}
	switch {
	case p.seq == 0: // a run mark
		st.mark = max(st.mark, 1) - 1
	case p.seq < st.high && st.except == 0 && !p.gap:
		st.except = p.seq // it began before others that were delivered
	default:
		st.high = p.seq - 1
		if st.except > st.high {
			st.except = 0
		}
	}
	return st, true
}

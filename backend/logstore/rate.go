package logstore

import (
	"bytes"

	"pitwall/backend/logstore/segment"
)

// lookback is how far before its start a scanner looks for the head of a trace.
const lookback = 64 << 10

// rate gives a line its level; at is where it starts in the chunk.
func (sc *scanner) rate(it *item, at int) {
	it.level, it.part = classify(it.text)
	if it.part != headLine {
		sc.catchUp(it.stream, at)
		sc.follow(it)
	}
	sc.trail[it.stream] = trail{it.level, true}
	sc.known = len(sc.whole) - len(sc.rest)
}

// rateAlone is rate for a line that is not in the chunk, or not whole.
func (sc *scanner) rateAlone(it *item) {
	it.level, it.part = classify(it.text)
	if it.part != headLine {
		sc.follow(it)
	}
	sc.trail[it.stream] = trail{it.level, true}
}

// follow gives a line that goes on with others their level.
func (sc *scanner) follow(it *item) {
	t := &sc.trail[it.stream]
	if !t.known {
		*t = trail{sc.before(it.stream), true}
	}
	switch {
	case it.part == contLine:
		it.level = t.rank
	case t.rank >= errorRank:
		it.level = t.rank
	default:
		it.part = headLine // nothing came before that it could close
	}
}

// settle makes the trail true at the end of the chunk.
func (sc *scanner) settle() {
	end := len(sc.whole)
	if sc.known >= end {
		return
	}
	last := bytes.LastIndexByte(sc.whole, '\n') + 1
	if last > sc.known {
		sc.catchUp(sc.chunk.Stream, last)
	}
	sc.known = end
}

// catchUp makes the trail true for the line that starts at offset at of the
// chunk, over lines that were passed without a look.
func (sc *scanner) catchUp(s segment.Stream, at int) {
	for end := at; end > sc.known; {
		start := bytes.LastIndexByte(sc.whole[sc.known:end-1], '\n') + 1 + sc.known
		r, part := classify(sc.whole[start:min(end-1, start+segment.MaxLine)])
		if part == headLine || part == closingLine {
			sc.trail[s] = trail{r, true}
			break
		}
		end = start
	}
	sc.known = at
}

// before is the level of the last line of a stream before the scanner's start.
func (sc *scanner) before(s segment.Stream) rank {
	if sc.blind {
		return unknown
	}
	b := newScanner(sc.dir, lookback)
	defer b.close()
	b.blind = true
	if err := b.r.SeekPlace(sc.start); err != nil {
		return unknown
	}
	if moved, err := b.r.Back(lookback); err != nil || !moved {
		return unknown
	}
	if b.placed(nil) != nil {
		return unknown
	}
	b.end = sc.start
	for {
		if _, err := b.next(nil); err != nil {
			return b.trail[s].rank
		}
	}
}

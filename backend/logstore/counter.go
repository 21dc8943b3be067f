package logstore

import (
	"time"

	"pitwall/backend/logstore/segment"
)

// Counters are what the log says of an instance, or of an app, right now.
type Counters struct {
	// ErrorsPerMinute counts the lines of level error and above in the last
	// minute, to five seconds; ErrorTrend the last ten minutes, oldest first.
	ErrorsPerMinute int
	ErrorTrend      []int
	// LastError is the message of the last line of level error or above, at
	// most 200 bytes of it.
	LastError   string
	LastErrorAt time.Time
	// LastWords is what the last run that said anything on stderr, or of level
	// error, is known by: the message of its last error or, where it has none,
	// its last line on stderr. A program that ends without stating a level has
	// said why there.
	LastWords      string
	LastWordsAt    time.Time
	LinesPerSecond int
	Bytes          int64 // on disk
	LastSeq        uint64
}

const (
	// bucketSpan is how exactly the last minute is known.
	bucketSpan = 5 * time.Second
	perMinute  = int64(time.Minute / bucketSpan)
	trendSize  = 10
	buckets    = trendSize*perMinute + 1
)

// bucket counts the lines of one span.
type bucket struct {
	span   int64 // since 1970, in spans
	errors uint32
	lines  uint32
}

// counter counts lines by the time they carry. It needs no timer: what has
// grown old is left out when it is read.
type counter struct {
	ring    [buckets]bucket
	last    []byte // the last error line
	lastAt  int64
	lastSeq uint64
	words   []byte // the last line on stderr of a run that has no error after
	wordsAt int64
	run     uint32 // that the last error is of
}

func spanOf(ns int64) int64 { return ns / int64(bucketSpan) }

// add counts a line.
func (c *counter) add(it *item) {
	span := spanOf(it.time)
	b := &c.ring[span%buckets]
	if b.span != span {
		if b.span > span {
			return // older than what is kept
		}
		*b = bucket{span: span}
	}
	b.lines++
	c.lastSeq = max(c.lastSeq, it.seq)
	if it.level < errorRank {
		c.listen(it)
		return
	}
	switch it.part {
	case headLine:
		b.errors++
		c.remember(it)
	case closingLine:
		c.remember(it) // it says what the trace before was about
	}
}

func (c *counter) remember(it *item) {
	c.last = append(c.last[:0], it.text[:min(len(it.text), maxRemembered)]...)
	c.lastAt, c.run, c.wordsAt = it.time, it.run, 0
}

// listen keeps a line on stderr that may prove to be a run's last words.
func (c *counter) listen(it *item) {
	if it.stream != segment.Err || it.part != headLine || c.run == it.run && c.lastAt != 0 {
		return
	}
	c.words = append(c.words[:0], it.text[:min(len(it.text), maxRemembered)]...)
	c.wordsAt = it.time
}

// addTo adds what is true at now to a sum.
func (c *counter) addTo(sum *Counters, now time.Time) {
	present := spanOf(now.UnixNano())
	for i := range c.ring {
		b := &c.ring[i]
		age := present - b.span
		if age < 0 && age > -perMinute {
			age = 0 // the clock was set back a little
		}
		if b.lines == 0 || age < 0 || age >= trendSize*perMinute {
			continue
		}
		sum.ErrorTrend[trendSize-1-age/perMinute] += int(b.errors)
		if age < perMinute {
			sum.ErrorsPerMinute += int(b.errors)
		}
	}
	sum.LinesPerSecond += c.rate(now)
	sum.LastSeq = max(sum.LastSeq, c.lastSeq)
	if at := time.Unix(0, c.lastAt).UTC(); c.lastAt != 0 && at.After(sum.LastErrorAt) {
		sum.LastErrorAt, sum.LastError = at, message(c.last)
	}
	said, line := c.lastAt, c.last
	if c.wordsAt != 0 {
		said, line = c.wordsAt, c.words
	}
	if at := time.Unix(0, said).UTC(); said != 0 && at.After(sum.LastWordsAt) {
		sum.LastWordsAt, sum.LastWords = at, message(line)
	}
}

// rate is lines a second over the span that is complete and the one that runs.
func (c *counter) rate(now time.Time) int {
	present := spanOf(now.UnixNano())
	lines := 0
	for _, span := range [...]int64{present, present - 1} {
		if b := &c.ring[span%buckets]; b.span == span {
			lines += int(b.lines)
		}
	}
	took := bucketSpan + time.Duration(now.UnixNano()-present*int64(bucketSpan))
	return int((int64(lines)*int64(time.Second) + int64(took)/2) / int64(took))
}

// changes returns when the counters change by time alone, or zero.
func (c *counter) changes(now time.Time) time.Time {
	present := spanOf(now.UnixNano())
	first := int64(0)
	for i := range c.ring {
		b := &c.ring[i]
		if age := present - b.span; b.lines == 0 || age < 0 || age >= perMinute {
			continue
		}
		leaves := b.span + 2 // of the rate
		if leaves <= present {
			leaves = b.span + perMinute // of the errors
			if b.errors == 0 {
				continue
			}
		}
		if first == 0 || leaves < first {
			first = leaves
		}
	}
	if first == 0 {
		return time.Time{}
	}
	return time.Unix(0, first*int64(bucketSpan))
}

package logstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"pitwall/backend"
	"pitwall/backend/logstore/segment"
)

// corpusBytes is enough that reading it takes longer than starting to.
const corpusBytes = 64 << 20

// corpus writes a log of JSON and plain lines, a needle among them.
func corpus(b *testing.B) *program {
	b.Helper()
	p := newProgram(b, app("i1", 0), segment.Options{})
	var chunk strings.Builder
	total := 0
	for i := 0; total < corpusBytes; i++ {
		level := "INFO"
		if i%11 == 0 {
			level = "ERROR"
		}
		if i%5 < 3 {
			fmt.Fprintf(&chunk, `{"time":"2024-01-01T00:00:00.000Z","level":%q,"msg":"request","method":"GET","path":"/api/cart/%d","status":200,"ms":%d}`+"\n", level, i, i%300)
		} else {
			fmt.Fprintf(&chunk, "2024-01-01 12:00:00,123 %s [main] com.shop.Cart - the cart %d was filled with %d things in 12 ms\n", level, i, i%7)
		}
		if i == 300000 {
			chunk.WriteString("the needle in the hay\n")
		}
		if chunk.Len() > 200<<10 {
			p.write(time.Duration(total), out, chunk.String())
			total += chunk.Len()
			chunk.Reset()
		}
	}
	return p
}

func BenchmarkIngest(b *testing.B) {
	p := corpus(b)
	dir, err := segment.OpenDir(p.src.Dir)
	if err != nil {
		b.Fatal(err)
	}
	defer dir.Close()
	sc := newScanner(dir, ingestWindow)
	defer sc.close()
	var c counter
	b.SetBytes(corpusBytes)
	b.ReportAllocs()
	for b.Loop() {
		if err := sc.seekStart(); err != nil {
			b.Fatal(err)
		}
		for {
			it, err := sc.next(nil)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			if it != nil {
				c.add(it)
			}
		}
	}
}

func BenchmarkQuery(b *testing.B) {
	p := corpus(b)
	s := newStore(b, later, p)
	for _, bb := range []struct {
		name string
		q    backend.LogQuery
	}{
		{"rare literal", backend.LogQuery{Text: "needle"}},
		{"common literal", backend.LogQuery{Text: "ERROR"}},
		{"level", backend.LogQuery{Level: backend.LevelFatal}},
		{"invert", backend.LogQuery{Text: "0", Invert: true}},
		{"regexp with a literal", backend.LogQuery{Regexp: `cart/29[0-9]{3}1"`}},
		{"tail", backend.LogQuery{Tail: 100}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.SetBytes(corpusBytes)
			n := 0
			for b.Loop() {
				n = read(b, s, bb.q)
			}
			b.ReportMetric(float64(n), "lines")
		})
	}
	b.Run("stats", func(b *testing.B) {
		b.SetBytes(corpusBytes)
		for b.Loop() {
			feed, err := s.Stats(context.Background(), backend.LogQuery{})
			if err != nil {
				b.Fatal(err)
			}
			for err == nil {
				_, err = feed.Next(context.Background())
			}
			feed.Close()
		}
	})
}

func read(b *testing.B, s *Store, q backend.LogQuery) int {
	feed, err := s.Logs(context.Background(), q)
	if err != nil {
		b.Fatal(err)
	}
	defer feed.Close()
	n := 0
	for {
		entries, err := feed.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return n
		}
		if err != nil {
			b.Fatal(err)
		}
		n += len(entries)
	}
}

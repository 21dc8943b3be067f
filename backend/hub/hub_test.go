package hub_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"pitwall/backend"
	"pitwall/backend/hub"
)

func TestNextReturnsAllThatIsQueued(t *testing.T) {
	var h hub.Hub[int]
	s := h.Subscribe(10)
	h.Publish(1, 2)
	h.Publish(3)
	if got, err := s.Next(t.Context()); err != nil || !cmp.Equal(got, []int{1, 2, 3}) {
		t.Errorf("Next() = %v, %v, want 1 2 3", got, err)
	}
}

func TestNextWaits(t *testing.T) {
	var h hub.Hub[int]
	s := h.Subscribe(10)
	got := make(chan []int)
	go func() {
		items, err := s.Next(t.Context())
		if err != nil {
			t.Errorf("Next() = %v", err)
		}
		got <- items
	}()
	h.Publish(7)
	if items := <-got; !cmp.Equal(items, []int{7}) {
		t.Errorf("Next() = %v, want 7", items)
	}
}

func TestSlowFeedLags(t *testing.T) {
	var h hub.Hub[int]
	s := h.Subscribe(3)
	for i := range 1000 {
		h.Publish(i)
	}
	_, err := s.Next(t.Context())
	var lag *backend.LaggedError
	if !errors.As(err, &lag) || lag.Missed != 997 {
		t.Fatalf("Next() = %v, want LaggedError of 997", err)
	}
	if got, err := s.Next(t.Context()); err != nil || !cmp.Equal(got, []int{997, 998, 999}) {
		t.Errorf("Next() = %v, %v, want the last three", got, err)
	}
}

func TestCloseEndsFeeds(t *testing.T) {
	stop := errors.New("stop")
	for _, tt := range []struct{ err, want error }{{nil, io.EOF}, {stop, stop}} {
		var h hub.Hub[int]
		s := h.Subscribe(10)
		h.Publish(1)
		h.Close(tt.err)
		h.Close(errors.New("second"))
		h.Publish(2)
		if got, err := s.Next(t.Context()); err != nil || !cmp.Equal(got, []int{1}) {
			t.Errorf("Next() = %v, %v, want what was queued", got, err)
		}
		for range 2 {
			if _, err := s.Next(t.Context()); err != tt.want {
				t.Errorf("Next() = %v, want %v", err, tt.want)
			}
		}
		if _, err := h.Subscribe(1).Next(t.Context()); err != tt.want {
			t.Errorf("Next() of a late feed = %v, want %v", err, tt.want)
		}
	}
}

func TestCloseOfAFeedWakesNext(t *testing.T) {
	var h hub.Hub[int]
	s := h.Subscribe(10)
	done := make(chan error)
	go func() {
		_, err := s.Next(context.Background())
		done <- err
	}()
	s.Close()
	s.Close()
	if err := <-done; err != io.EOF {
		t.Errorf("Next() = %v, want EOF", err)
	}
	if n := h.Subscribers(); n != 0 {
		t.Errorf("Subscribers() = %d, want 0", n)
	}
}

func TestNextEndsWithItsContext(t *testing.T) {
	var h hub.Hub[int]
	s := h.Subscribe(10)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := s.Next(ctx)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Next() = %v, want Canceled", err)
	}
	h.Publish(1)
	if got, err := s.Next(t.Context()); err != nil || len(got) != 1 {
		t.Errorf("Next() = %v, %v, want the feed to go on", got, err)
	}
}

// TestEveryValueIsReadOrCounted publishes and reads in any order and holds
// each feed against what it should have had.
func TestEveryValueIsReadOrCounted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h hub.Hub[int]
		type reader struct {
			sub    *hub.Sub[int]
			next   int // the next value expected
			missed uint64
		}
		var readers []*reader
		published := 0
		drain := func(r *reader) {
			for r.next+int(r.missed) < published || r.missed > 0 {
				items, err := r.sub.Next(context.Background())
				var lag *backend.LaggedError
				if errors.As(err, &lag) {
					if r.missed != 0 {
						t.Fatalf("two lags in a row")
					}
					r.missed = lag.Missed
					continue
				}
				if err != nil {
					t.Fatalf("Next() = %v", err)
				}
				r.next += int(r.missed)
				r.missed = 0
				for _, item := range items {
					if item != r.next {
						t.Fatalf("read %d, want %d", item, r.next)
					}
					r.next++
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"subscribe": func(t *rapid.T) {
				size := rapid.IntRange(1, 200).Draw(t, "size")
				readers = append(readers, &reader{sub: h.Subscribe(size), next: published})
			},
			"publish": func(t *rapid.T) {
				n := rapid.IntRange(1, 150).Draw(t, "n")
				items := make([]int, n)
				for i := range items {
					items[i] = published
					published++
				}
				h.Publish(items...)
			},
			"read": func(t *rapid.T) {
				if len(readers) > 0 {
					drain(readers[rapid.IntRange(0, len(readers)-1).Draw(t, "reader")])
				}
			},
			"leave": func(t *rapid.T) {
				if len(readers) > 0 {
					readers[0].sub.Close()
					readers = readers[1:]
				}
			},
		})
		for _, r := range readers {
			drain(r)
			if r.next != published {
				t.Fatalf("feed ended at %d of %d", r.next, published)
			}
		}
	})
}

func TestManyReadersAtOnce(t *testing.T) {
	var h hub.Hub[int]
	const values = 5000
	var wg sync.WaitGroup
	for range 8 {
		s := h.Subscribe(values)
		wg.Go(func() {
			want := 0
			for {
				items, err := s.Next(t.Context())
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Errorf("Next() = %v", err)
					return
				}
				for _, item := range items {
					if item != want {
						t.Errorf("read %d, want %d", item, want)
						return
					}
					want++
				}
			}
			if want != values {
				t.Errorf("read %d values, want %d", want, values)
			}
		})
	}
	for i := range values {
		h.Publish(i)
	}
	h.Close(nil)
	wg.Wait()
}

func BenchmarkPublishTo1000(b *testing.B) {
	var h hub.Hub[int]
	for range 1000 {
		h.Subscribe(256)
	}
	b.ReportAllocs()
	for i := range b.N {
		h.Publish(i)
	}
}

package remote_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"pitwall/backend"
	"pitwall/backend/backendtest"
	"pitwall/backend/remote"
)

// patience bounds the failure of what must come.
const patience = time.Minute

// bench is a fake behind a served handler behind a proxy, and a client of it.
type bench struct {
	fake     *backendtest.Fake
	app      backend.App
	instance backend.Instance
	proxy    *proxy
	client   *remote.Client
	ctx      context.Context
}

func newBench(t *testing.T, cfg remote.Config) *bench {
	b := &bench{fake: backendtest.NewFake()}
	b.fake.Buffer(1 << 20)
	b.app = b.fake.AddApp(backend.App{Name: "web", Instances: 1})
	b.instance = b.fake.AddInstance(backend.Instance{App: "web"})
	l := listen(t, "tcp", "127.0.0.1:0")
	serve(t, l, b.fake)
	b.proxy = newProxy(t, l.Addr())
	cfg.URL = b.proxy.url()
	b.client = dial(t, cfg)
	var cancel context.CancelFunc
	b.ctx, cancel = context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return b
}

// breaking makes the proxy break each connection after a random number of
// bytes, drawn from seed.
func (b *bench) breaking(seed uint64, least, most int) {
	random := rand.New(rand.NewPCG(seed, 1))
	b.proxy.setBudget(func() (int64, int64) {
		return int64(least + random.IntN(most)), int64(least + random.IntN(most))
	})
}

// TestNothingIsLostOrDoubled breaks the connections at random bytes while a
// watch and a followed log run.
func TestNothingIsLostOrDoubled(t *testing.T) {
	const lines, rounds = 2000, 6
	for seed := range uint64(rounds) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			b := newBench(t, remote.Config{})
			b.fake.Lines(b.instance.ID, "", "line 0")
			b.fake.Advance(time.Microsecond)
			list, err := b.client.Apps(b.ctx, backend.AppQuery{})
			if err != nil {
				t.Fatal(err)
			}
			watch, err := b.client.Watch(b.ctx, backend.WatchQuery{Since: list.Index})
			if err != nil {
				t.Fatal(err)
			}
			logs, err := b.client.Logs(b.ctx, backend.LogQuery{Apps: []string{b.app.ID}, Tail: 1, Follow: true})
			if err != nil {
				t.Fatal(err)
			}
			// The first connection had no budget: from here on all have.
			b.breaking(seed, 600, 60_000)
			b.proxy.cut()
			// The readers pace the writer, so that a frame is smaller than
			// what most connections live for.
			const ahead = 40
			lineRoom, eventRoom := make(chan struct{}, ahead), make(chan struct{}, ahead)
			var wg sync.WaitGroup
			wg.Go(func() {
				for n := 1; n < lines; n++ {
					for _, room := range []chan struct{}{lineRoom, eventRoom} {
						select {
						case room <- struct{}{}:
						case <-b.ctx.Done():
							return
						}
					}
					b.fake.Advance(time.Microsecond)
					b.fake.Lines(b.instance.ID, "", fmt.Sprintf("line %d", n))
					b.fake.Emit(backend.Event{Ref: b.app.Ref(), OwnerID: b.app.ID, Message: "something happened"})
				}
			})
			wg.Go(func() {
				for want := 0; want < lines; {
					entries, err := logs.Next(b.ctx)
					if err != nil {
						t.Errorf("logs.Next() at line %d = %v", want, err)
						return
					}
					for _, e := range entries {
						if e.Text != fmt.Sprintf("line %d", want) {
							t.Errorf("read %q, want line %d", e.Text, want)
							return
						}
						if want++; want > 1 {
							<-lineRoom
						}
					}
				}
			})
			wg.Go(func() {
				for at := list.Index; at < list.Index+lines-1; {
					events, err := watch.Next(b.ctx)
					if err != nil {
						t.Errorf("watch.Next() at %d = %v", at, err)
						return
					}
					for _, e := range events {
						if e.Index != at+1 {
							t.Errorf("event %d after %d", e.Index, at)
							return
						}
						at = e.Index
						<-eventRoom
					}
				}
			})
			wg.Wait()
			b.proxy.mu.Lock()
			defer b.proxy.mu.Unlock()
			if b.proxy.taken < 5 {
				t.Errorf("only %d connections: nothing was broken", b.proxy.taken)
			}
		})
	}
}

// TestBoundedLogsSurvive breaks connections while whole logs are read.
func TestBoundedLogsSurvive(t *testing.T) {
	b := newBench(t, remote.Config{})
	const lines = 4000
	for n := range lines {
		b.fake.Lines(b.instance.ID, "", fmt.Sprintf("line %d", n))
	}
	whole, err := b.fake.Logs(b.ctx, backend.LogQuery{})
	if err != nil {
		t.Fatal(err)
	}
	last := drain(t, b.ctx, whole)[lines-1]
	tests := []struct {
		name        string
		query       backend.LogQuery
		first, last int
	}{
		{"all", backend.LogQuery{}, 0, lines - 1},
		{"tail", backend.LogQuery{Tail: 2500}, lines - 2500, lines - 1},
		{"limit", backend.LogQuery{Limit: 2500}, 0, 2499},
		{"before", backend.LogQuery{Before: last.Cursor, Tail: 1000}, lines - 1001, lines - 2},
	}
	for seed := range uint64(3) {
		b.breaking(seed, 60_000, 400_000)
		for _, tt := range tests {
			b.proxy.cut()
			var feed backend.Feed[backend.LogEntry]
			for feed == nil {
				// To open a feed may fail while connections break.
				if feed, err = b.client.Logs(b.ctx, tt.query); err != nil && backend.CodeOf(err) != backend.Unavailable {
					t.Fatalf("Logs(%s) = %v", tt.name, err)
				}
			}
			got := drain(t, b.ctx, feed)
			feed.Close()
			if len(got) != tt.last-tt.first+1 {
				t.Fatalf("%s with seed %d: %d lines, want %d", tt.name, seed, len(got), tt.last-tt.first+1)
			}
			for n, e := range got {
				if want := fmt.Sprintf("line %d", tt.first+n); e.Text != want {
					t.Fatalf("%s with seed %d: read %q, want %q", tt.name, seed, e.Text, want)
				}
			}
		}
	}
}

func drain(t *testing.T, ctx context.Context, feed backend.Feed[backend.LogEntry]) []backend.LogEntry {
	t.Helper()
	var out []backend.LogEntry
	for {
		entries, err := feed.Next(ctx)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("Next() after %d lines = %v", len(out), err)
		}
		out = append(out, entries...)
	}
}

// TestFollowFromTheEndMissesNothing loses the link before the first line.
func TestFollowFromTheEndMissesNothing(t *testing.T) {
	b := newBench(t, remote.Config{})
	b.fake.Lines(b.instance.ID, "", "old")
	b.fake.Advance(time.Minute)
	feed, err := b.client.Logs(b.ctx, backend.LogQuery{Apps: []string{b.app.ID}, Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	link := b.link(t)
	b.proxy.setDown(true)
	b.until(t, link, backend.LinkDown)
	b.fake.Advance(time.Minute)
	b.fake.Lines(b.instance.ID, "", "meanwhile")
	b.proxy.setDown(false)
	entries, err := feed.Next(b.ctx)
	if err != nil || len(entries) != 1 || entries[0].Text != "meanwhile" {
		t.Errorf("Next() = %v, %v, want the line of meanwhile alone", entries, err)
	}
}

// TestTailThatWasCutOffMissesNothing loses the link after the feed was opened
// and before any of its lines came, which the credit holds back.
func TestTailThatWasCutOffMissesNothing(t *testing.T) {
	for _, old := range []int{0, 1, 5} {
		b := newBench(t, remote.Config{})
		var want []string
		for n := range old {
			b.fake.Lines(b.instance.ID, "", fmt.Sprint("old ", n))
			want = append(want, fmt.Sprint("old ", n))
		}
		want = want[max(0, len(want)-2):]
		b.fake.Advance(time.Minute)
		// What the server sends after its handshake and the frame that
		// says that the feed is open does not come through.
		first := true
		b.proxy.setBudget(func() (int64, int64) {
			if !first {
				return -1, -1
			}
			first = false
			return -1, 300
		})
		feed, err := b.client.Logs(b.ctx, backend.LogQuery{Apps: []string{b.app.ID}, Tail: 2, Follow: true})
		if err != nil {
			t.Fatal(err)
		}
		b.fake.Advance(time.Minute)
		for n := range 10 {
			b.fake.Lines(b.instance.ID, "", fmt.Sprint("new ", n))
			want = append(want, fmt.Sprint("new ", n))
		}
		var got []string
		for len(got) < len(want) {
			entries, err := feed.Next(b.ctx)
			if err != nil {
				t.Fatalf("Next() after %q = %v", got, err)
			}
			for _, e := range entries {
				got = append(got, e.Text)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("with %d old lines: read %q, want %q", old, got, want)
		}
	}
}

// TestWatchFromNowMissesNothing loses the link before the first event.
func TestWatchFromNowMissesNothing(t *testing.T) {
	b := newBench(t, remote.Config{})
	feed, err := b.client.Watch(b.ctx, backend.WatchQuery{})
	if err != nil {
		t.Fatal(err)
	}
	link := b.link(t)
	b.proxy.setDown(true)
	b.until(t, link, backend.LinkDown)
	e := b.fake.Emit(backend.Event{Ref: b.app.Ref(), Message: "meanwhile"})
	b.proxy.setDown(false)
	events, err := feed.Next(b.ctx)
	if err != nil || len(events) != 1 || events[0].Index != e.Index {
		t.Errorf("Next() = %v, %v, want event %d", events, err, e.Index)
	}
}

func (b *bench) link(t *testing.T) backend.Feed[backend.LinkState] {
	t.Helper()
	feed, err := b.client.Link(b.ctx)
	if err != nil {
		t.Fatalf("Link() = %v", err)
	}
	t.Cleanup(func() { feed.Close() })
	return feed
}

// until reads the link's states until one comes.
func (b *bench) until(t *testing.T, feed backend.Feed[backend.LinkState], want backend.LinkStatus) backend.LinkState {
	t.Helper()
	for {
		states, err := feed.Next(b.ctx)
		if err != nil {
			t.Fatalf("link.Next() = %v, want %s", err, want)
		}
		if s := states[len(states)-1]; s.State == want {
			return s
		}
	}
}

func TestLinkIsReported(t *testing.T) {
	hold := make(chan time.Duration)
	b := newBench(t, remote.Config{Backoff: func(int) time.Duration { return <-hold }})
	link := b.link(t)
	if s := b.until(t, link, backend.LinkUp); s.Err != "" || s.Since.IsZero() {
		t.Errorf("link = %+v, want up without an error", s)
	}
	b.proxy.setDown(true)
	if s := b.until(t, link, backend.LinkDown); !strings.Contains(s.Err, b.proxy.url()) {
		t.Errorf("link = %+v, want an error that names the address", s)
	}
	hold <- 0
	b.until(t, link, backend.LinkConnecting)
	if s := b.until(t, link, backend.LinkDown); s.Attempt == 0 {
		t.Errorf("link = %+v, want the attempt counted", s)
	}
	b.proxy.setDown(false)
	hold <- 0
	b.until(t, link, backend.LinkUp)
	// Close must not wait for the backoff.
	go func() { close(hold) }()
	if err := b.client.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
}

// TestFrozenPeerIsDead holds all bytes back, as a half-open connection does.
func TestFrozenPeerIsDead(t *testing.T) {
	b := newBench(t, remote.Config{PingEvery: 20 * time.Millisecond, DeadAfter: 200 * time.Millisecond})
	link := b.link(t)
	b.until(t, link, backend.LinkUp)
	feed, err := b.client.Watch(b.ctx, backend.WatchQuery{})
	if err != nil {
		t.Fatal(err)
	}
	b.proxy.freeze()
	b.until(t, link, backend.LinkDown)
	e := b.fake.Emit(backend.Event{Ref: b.app.Ref(), Message: "meanwhile"})
	b.proxy.thaw()
	b.until(t, link, backend.LinkUp)
	events, err := feed.Next(b.ctx)
	if err != nil || events[0].Index != e.Index {
		t.Errorf("Next() = %v, %v, want event %d", events, err, e.Index)
	}
}

// TestSlowFeedHoldsUpNoOther leaves one feed unread while another goes on over
// the same connection.
func TestSlowFeedHoldsUpNoOther(t *testing.T) {
	b := newBench(t, remote.Config{})
	slow, err := b.client.Logs(b.ctx, backend.LogQuery{Apps: []string{b.app.ID}, Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	watch, err := b.client.Watch(b.ctx, backend.WatchQuery{})
	if err != nil {
		t.Fatal(err)
	}
	const lines = 4000
	big := strings.Repeat("x", 4096)
	for n := range lines {
		b.fake.Lines(b.instance.ID, "", fmt.Sprintf("%d %s", n, big))
	}
	for range 100 {
		e := b.fake.Emit(backend.Event{Ref: b.app.Ref(), Message: "tick"})
		events, err := watch.Next(b.ctx)
		if err != nil || events[len(events)-1].Index != e.Index {
			t.Fatalf("watch.Next() = %v, %v, want event %d", events, err, e.Index)
		}
	}
	for n := 0; n < lines; {
		entries, err := slow.Next(b.ctx)
		if err != nil {
			t.Fatalf("slow.Next() at %d = %v", n, err)
		}
		for _, e := range entries {
			if !strings.HasPrefix(e.Text, fmt.Sprintf("%d ", n)) {
				t.Fatalf("read %.10q, want line %d", e.Text, n)
			}
			n++
		}
	}
}

// TestSlowReaderOfALogGetsAGap asks for one with MaxLag.
func TestSlowReaderOfALogGetsAGap(t *testing.T) {
	b := newBench(t, remote.Config{})
	feed, err := b.client.Logs(b.ctx, backend.LogQuery{Apps: []string{b.app.ID}, Follow: true, MaxLag: 100})
	if err != nil {
		t.Fatal(err)
	}
	const lines = 20_000
	for n := 0; n < lines; n += 100 {
		text := make([]string, 100)
		for i := range text {
			text[i] = fmt.Sprint(n + i + 1)
		}
		b.fake.Lines(b.instance.ID, "", text...)
	}
	next, gaps := uint64(1), 0
	for next <= lines {
		entries, err := feed.Next(b.ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Gap != nil {
				if e.Gap.From != next || e.Gap.Count != e.Gap.To-e.Gap.From+1 {
					t.Fatalf("gap %+v, want one from %d", e.Gap, next)
				}
				gaps, next = gaps+1, e.Gap.To+1
				continue
			}
			if e.Seq != next {
				t.Fatalf("line %d after %d without a gap", e.Seq, next-1)
			}
			next++
		}
	}
	t.Logf("%d gaps", gaps)
}

// TestLostReplyIsDoneOnce breaks the connection after the command went
// through and before its reply, three times.
func TestLostReplyIsDoneOnce(t *testing.T) {
	b := newBench(t, remote.Config{})
	left := 3
	b.proxy.setBudget(func() (int64, int64) {
		if left--; left >= 0 {
			return -1, 0
		}
		return -1, -1
	})
	r, err := b.client.Do(b.ctx, backend.Restart{App: b.app.ID})
	if err != nil {
		t.Fatalf("Do() = %v", err)
	}
	ops, err := b.fake.Operations(b.ctx, backend.OperationQuery{})
	if err != nil || len(ops.Items) != 1 || ops.Items[0].ID != r.Operation.ID {
		t.Errorf("Operations() = %d, %v, want %s alone", len(ops.Items), err, r.Operation.ID)
	}
}

// TestNoReplyAtAllSaysSo never lets a reply through.
func TestNoReplyAtAllSaysSo(t *testing.T) {
	b := newBench(t, remote.Config{})
	b.proxy.setBudget(func() (int64, int64) { return -1, 0 })
	_, err := b.client.Do(b.ctx, backend.Restart{App: b.app.ID})
	if backend.CodeOf(err) != backend.Unavailable || !strings.Contains(err.Error(), "may have been done") {
		t.Errorf("Do() = %v, want unavailable that says it may have been done", err)
	}
}

func TestAttachmentEndsWithItsConnection(t *testing.T) {
	b := newBench(t, remote.Config{})
	conn, err := b.client.Attach(b.ctx, backend.AttachSpec{Instance: b.instance.ID, Command: []string{"echo"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	b.proxy.cut()
	if _, err := conn.Read(make([]byte, 10)); backend.CodeOf(err) != backend.Unavailable {
		t.Errorf("Read() = %v, want unavailable", err)
	}
	if _, err := conn.Exit(b.ctx); backend.CodeOf(err) != backend.Unavailable {
		t.Errorf("Exit() = %v, want unavailable", err)
	}
}

// TestAttachmentWaitsForItsReader writes far more than the window before
// anything is read.
func TestAttachmentWaitsForItsReader(t *testing.T) {
	b := newBench(t, remote.Config{})
	conn, err := b.client.Attach(b.ctx, backend.AttachSpec{Instance: b.instance.ID, Command: []string{"echo"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	want := strings.Repeat("0123456789abcdef", 200_000)
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(conn, want)
		sent <- errors.Join(err, conn.CloseWrite())
	}()
	if err := <-sent; err != nil {
		t.Fatalf("Write() = %v", err)
	}
	got, err := io.ReadAll(conn)
	if err != nil || string(got) != want {
		t.Errorf("ReadAll() = %d bytes, %v, want %d", len(got), err, len(want))
	}
}

func TestCloseLeavesNoGoroutines(t *testing.T) {
	fake := backendtest.NewFake()
	app := fake.AddApp(backend.App{Name: "web", Instances: 1})
	instance := fake.AddInstance(backend.Instance{App: "web"})
	l := listen(t, "tcp", "127.0.0.1:0")
	h := serve(t, l, fake)
	before := runtime.NumGoroutine()
	for range 5 {
		c := dial(t, remote.Config{URL: "http://" + l.Addr().String()})
		for range 3 {
			if _, err := c.Watch(t.Context(), backend.WatchQuery{}); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Logs(t.Context(), backend.LogQuery{Apps: []string{app.ID}, Follow: true}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.Attach(t.Context(), backend.AttachSpec{Instance: instance.ID, Command: []string{"echo"}}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Apps(t.Context(), backend.AppQuery{}); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	deadline := time.Now().Add(patience)
	for runtime.NumGoroutine() > before || h.Stats().Feeds+h.Stats().Attachments+h.Stats().Connections > 0 {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before; stats %+v\n%s", runtime.NumGoroutine(), before, h.Stats(), buf[:runtime.Stack(buf, true)])
		}
		runtime.Gosched()
	}
}

// TestServerThatGoesAwayEndsNoFeed replaces the server.
func TestServerThatGoesAwayEndsNoFeed(t *testing.T) {
	b := newBench(t, remote.Config{})
	feed, err := b.client.Watch(b.ctx, backend.WatchQuery{})
	if err != nil {
		t.Fatal(err)
	}
	// The old server's backend closes, then the next one takes the state
	// over, with the same index and one event more.
	b.proxy.setDown(true)
	b.fake.Close()
	next := backendtest.NewFake()
	app := next.AddApp(backend.App{Name: "web", Instances: 1})
	next.AddInstance(backend.Instance{App: "web"})
	e := next.Emit(backend.Event{Ref: app.Ref(), Message: "after the take-over"})
	l := listen(t, "tcp", "127.0.0.1:0")
	serve(t, l, next)
	b.proxy.mu.Lock()
	b.proxy.to = l.Addr().String()
	b.proxy.mu.Unlock()
	b.proxy.setDown(false)
	events, err := feed.Next(b.ctx)
	if err != nil || events[0].Index != e.Index {
		t.Errorf("Next() = %v, %v, want event %d of the next server", events, err, e.Index)
	}
}

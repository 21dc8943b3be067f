package process

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// maxAsking is how many checks wait for an answer at a time. A check that hangs
// holds its place for its timeout alone, so at one second each and a check
// every two seconds this serves five hundred instances that all hang.
const maxAsking = 256

// schedule runs tasks at their times: one goroutine and one timer for all, and
// one goroutine for each task while it runs.
type schedule struct {
	ctx   context.Context
	stop  context.CancelFunc
	wake  chan struct{}
	slots chan struct{}
	all   sync.WaitGroup

	mu   sync.Mutex
	heap taskHeap
}

// task is something that is done again and again.
type task struct {
	at    time.Time
	index int // in the heap; -1 while it runs or when it is canceled

	mu       sync.Mutex
	canceled bool
	cancel   context.CancelFunc // of the present run

	// run does it once and returns when to do it again; 0 is never.
	run func(ctx context.Context) time.Duration
}

func newSchedule() *schedule {
	s := &schedule{wake: make(chan struct{}, 1), slots: make(chan struct{}, maxAsking)}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.all.Go(s.loop)
	return s
}

// close stops everything and waits for it.
func (s *schedule) close() {
	s.stop()
	s.all.Wait()
}

// add does run after a delay, and again after each delay that it returns.
func (s *schedule) add(delay time.Duration, run func(ctx context.Context) time.Duration) *task {
	t := &task{run: run, index: -1}
	s.push(t, delay)
	return t
}

// cancel ends a task. A run that is under way sees its context end; cancel does
// not wait for it.
func (s *schedule) cancel(t *task) {
	if t == nil {
		return
	}
	t.mu.Lock()
	t.canceled = true
	if t.cancel != nil {
		t.cancel()
	}
	t.mu.Unlock()
	s.mu.Lock()
	if t.index >= 0 {
		heap.Remove(&s.heap, t.index)
	}
	s.mu.Unlock()
}

// push queues a task. A tenth of jitter keeps the checks of instances that
// were started together from coming together.
func (s *schedule) push(t *task, delay time.Duration) {
	delay += time.Duration(rand.Float64() * 0.1 * float64(delay))
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.canceled {
		return
	}
	s.mu.Lock()
	t.at = time.Now().Add(delay)
	heap.Push(&s.heap, t)
	first := t.index == 0
	s.mu.Unlock()
	if first {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

func (s *schedule) loop() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		due, next := s.due()
		for _, t := range due {
			select {
			case s.slots <- struct{}{}:
			case <-s.ctx.Done():
				return
			}
			s.all.Go(func() { s.do(t) })
		}
		timer.Reset(next)
		select {
		case <-timer.C:
		case <-s.wake:
		case <-s.ctx.Done():
			return
		}
	}
}

// due takes what is to be done now off the heap, and tells when to look again.
func (s *schedule) due() (due []*task, next time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for len(s.heap) > 0 {
		if wait := s.heap[0].at.Sub(now); wait > 0 {
			return due, wait
		}
		due = append(due, heap.Pop(&s.heap).(*task))
	}
	return due, time.Hour
}

func (s *schedule) do(t *task) {
	ctx, cancel := context.WithCancel(s.ctx)
	t.mu.Lock()
	t.cancel = cancel
	skip := t.canceled
	t.mu.Unlock()
	var again time.Duration
	if !skip {
		again = t.run(ctx)
	}
	cancel()
	<-s.slots
	if again > 0 && s.ctx.Err() == nil {
		s.push(t, again)
	}
}

// taskHeap has the task that is due first at 0.
type taskHeap []*task

func (h taskHeap) Len() int           { return len(h) }
func (h taskHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h taskHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements [heap.Interface].
func (h *taskHeap) Push(x any) {
	t := x.(*task)
	t.index = len(*h)
	*h = append(*h, t)
}

// Pop implements [heap.Interface].
func (h *taskHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.index = -1
	return t
}

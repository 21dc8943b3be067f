package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"pitwall/backend"
	"pitwall/backend/engine"
	"pitwall/backend/engine/process/keeper"
)

// Engine runs instances as processes of this machine. See [engine.Engine].
type Engine struct {
	cfg      Config
	ctx      context.Context // until Close
	stop     context.CancelFunc
	work     crew
	ports    *ports
	feeds    feeds
	schedule *schedule
	meter    meter
	groups   hierarchy

	mu        sync.Mutex
	instances map[string]*instance
	attached  map[*attachment]struct{}
	closed    bool
}

var _ engine.Engine = (*Engine)(nil)

// crew are the goroutines of an engine.
type crew struct {
	all sync.WaitGroup

	mu   sync.Mutex
	over bool
}

// spawn runs f in a goroutine that Close waits for. It reports false when the
// engine is closed.
func (e *Engine) spawn(f func()) bool {
	e.work.mu.Lock()
	defer e.work.mu.Unlock()
	if e.work.over {
		return false
	}
	e.work.all.Go(f)
	return true
}

// adopting is how many keepers are dialed at a time.
const adopting = 32

// New makes the engine of a folder and adopts what runs there. It returns when
// the state of every instance is known. What cannot be adopted is told in a
// notice to the first watcher.
func New(ctx context.Context, cfg Config) (*Engine, error) {
	cfg = cfg.orDefault()
	if err := cfg.valid(); err != nil {
		return nil, err
	}
	if cfg.Exe == "" {
		exe, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find this program: %w", err)
		}
		cfg.Exe = exe
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", cfg.Dir, err)
	}
	cfg.Dir = dir
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of instances: %w", err)
	}
	e := &Engine{
		cfg:       cfg,
		ports:     newPorts(cfg.Ports),
		schedule:  newSchedule(),
		meter:     meter{now: cfg.Now},
		groups:    detectHierarchy(cfg.NoCgroup),
		instances: map[string]*instance{},
		attached:  map[*attachment]struct{}{},
	}
	e.ctx, e.stop = context.WithCancel(context.Background())
	if err := e.adoptAll(ctx); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// adoptAll takes over every instance in the folder.
func (e *Engine) adoptAll(ctx context.Context) error {
	entries, err := os.ReadDir(e.cfg.Dir)
	if err != nil {
		return fmt.Errorf("read folder of instances: %w", err)
	}
	slots := make(chan struct{}, adopting)
	var all sync.WaitGroup
	for _, entry := range entries {
		if !entry.IsDir() || !validID(entry.Name()) {
			continue
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			e.adopt(ctx, entry.Name())
		})
	}
	all.Wait()
	return ctx.Err()
}

// adopt takes over the instance in one folder. A folder without a record is
// what [Engine.Remove] left: a log.
func (e *Engine) adopt(ctx context.Context, id string) {
	dir := filepath.Join(e.cfg.Dir, id)
	r, err := readRecord(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		e.cfg.Log.Error("instance cannot be adopted", "instance", id, "error", err)
		e.notice(id, backend.LevelError, fmt.Sprintf("the instance cannot be adopted: %v", err))
		return
	}
	in := newInstance(e, id, dir, r)
	e.mu.Lock()
	e.instances[id] = in
	e.mu.Unlock()
	if r.Port != 0 && !e.ports.hold(r.Port, id) {
		e.notice(id, backend.LevelError, fmt.Sprintf("port %d is another instance's too", r.Port))
	}
	in.adopt(ctx)
}

// notice tells watchers a sentence about an instance.
func (e *Engine) notice(id string, level backend.Level, text string) {
	e.feeds.publish(engine.Change{ID: id, Notice: text, Level: level})
}

var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// maxID keeps the path of a keeper's socket short enough for the kernel.
const maxID = 200

func validID(id string) bool { return len(id) <= maxID && idPattern.MatchString(id) }

// instance finds an instance; it fails with NotFound.
func (e *Engine) instance(id string) (*instance, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, backend.Errorf(backend.Unavailable, "the engine is closed")
	}
	in := e.instances[id]
	if in == nil || !in.isKnown() {
		return nil, &backend.Error{
			Code: backend.NotFound, Ref: backend.Ref{Kind: backend.KindInstance, ID: id},
			Err: fmt.Errorf("there is no instance %s", id),
		}
	}
	return in, nil
}

// Start implements [engine.Engine].
func (e *Engine) Start(ctx context.Context, s engine.Spec) error {
	if !validID(s.ID) {
		return backend.Errorf(backend.Invalid, "%q cannot be the id of an instance", s.ID)
	}
	for {
		in, err := e.add(s.ID)
		if err != nil {
			return err
		}
		again, err := in.start(ctx, s)
		if !again {
			return err
		}
	}
}

// add finds an instance, or makes one that is not shown until it has a record.
func (e *Engine) add(id string) (*instance, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, backend.Errorf(backend.Unavailable, "the engine is closed")
	}
	if in := e.instances[id]; in != nil {
		return in, nil
	}
	in := newInstance(e, id, filepath.Join(e.cfg.Dir, id), record{})
	e.instances[id] = in
	return in, nil
}

// drop forgets an instance.
func (e *Engine) drop(in *instance) {
	e.mu.Lock()
	if e.instances[in.id] == in {
		delete(e.instances, in.id)
	}
	e.mu.Unlock()
	e.meter.forget(in.id)
}

// Stop implements [engine.Engine].
func (e *Engine) Stop(ctx context.Context, id string, o engine.StopOptions) error {
	in, err := e.instance(id)
	if err != nil {
		return err
	}
	return in.stop(ctx, o)
}

// Restart implements [engine.Engine].
func (e *Engine) Restart(ctx context.Context, id string, o engine.StopOptions) error {
	in, err := e.instance(id)
	if err != nil {
		return err
	}
	return in.restart(ctx, o)
}

// Signal implements [engine.Engine].
func (e *Engine) Signal(ctx context.Context, id, signal string) error {
	in, err := e.instance(id)
	if err != nil {
		return err
	}
	return in.signal(ctx, signal)
}

// Remove implements [engine.Engine].
func (e *Engine) Remove(ctx context.Context, id string) error {
	in, err := e.instance(id)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return in.remove()
}

// List implements [engine.Engine].
func (e *Engine) List(ctx context.Context) ([]engine.Status, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	e.mu.Lock()
	closed := e.closed
	e.mu.Unlock()
	if closed {
		return nil, backend.Errorf(backend.Unavailable, "the engine is closed")
	}
	return e.statuses(), nil
}

func (e *Engine) statuses() []engine.Status {
	e.mu.Lock()
	all := make([]*instance, 0, len(e.instances))
	for _, in := range e.instances {
		all = append(all, in)
	}
	e.mu.Unlock()
	out := make([]engine.Status, 0, len(all))
	for _, in := range all {
		if s, known := in.status(); known {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b engine.Status) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// Watch implements [engine.Engine].
func (e *Engine) Watch(ctx context.Context) (backend.Feed[engine.Change], error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return e.feeds.watch(e.statuses), nil
}

// Runs implements [engine.Engine].
func (e *Engine) Runs(ctx context.Context, id string, after int) ([]engine.RunRecord, error) {
	in, err := e.instance(id)
	if err != nil {
		return nil, err
	}
	runs, err := keeper.Runs(in.dir)
	if err != nil {
		return nil, err
	}
	var out []engine.RunRecord
	for _, r := range runs {
		if int(r.Run) > after {
			out = append(out, in.runRecord(r))
		}
	}
	return out, ctx.Err()
}

// Usage implements [engine.Engine].
func (e *Engine) Usage(ctx context.Context, ids []string) (map[string]engine.Usage, error) {
	targets := make([]target, 0, len(ids))
	for _, id := range ids {
		in, err := e.instance(id)
		if backend.CodeOf(err) == backend.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		if t, runs := in.target(); runs {
			targets = append(targets, t)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return e.meter.measure(targets)
}

// SetLevels implements [engine.Engine].
func (e *Engine) SetLevels(_ context.Context, id string, levels map[string]backend.Level) error {
	in, err := e.instance(id)
	if err != nil {
		return err
	}
	return in.setLevels(levels)
}

// Loggers implements [engine.Engine].
func (e *Engine) Loggers(_ context.Context, id string) ([]string, error) {
	in, err := e.instance(id)
	if err != nil {
		return nil, err
	}
	return readKnown(in.dir)
}

// Attach implements [engine.Engine].
func (e *Engine) Attach(_ context.Context, s backend.AttachSpec) (backend.Conn, error) {
	in, err := e.instance(s.Instance)
	if err != nil {
		return nil, err
	}
	if len(s.Command) == 0 || s.Command[0] == "" {
		return nil, backend.Errorf(backend.Invalid, "attach to %s: no command", s.Instance)
	}
	b, err := in.beside()
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, backend.Errorf(backend.Unavailable, "the engine is closed")
	}
	a, err := attach(b, s, e.detach)
	if err != nil {
		return nil, err
	}
	e.attached[a] = struct{}{}
	return a, nil
}

func (e *Engine) detach(a *attachment) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.attached, a)
}

// Describe implements [engine.Engine].
func (e *Engine) Describe() engine.Description {
	return engine.Description{Name: "process", Cgroup: e.groups.kind, Notes: slices.Concat(e.groups.notes, limitNotes())}
}

// Close implements [engine.Engine]. Attachments end, programs run on.
func (e *Engine) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	attached := make([]*attachment, 0, len(e.attached))
	for a := range e.attached {
		attached = append(attached, a)
	}
	instances := make([]*instance, 0, len(e.instances))
	for _, in := range e.instances {
		instances = append(instances, in)
	}
	e.mu.Unlock()
	e.stop()
	e.feeds.close()
	var all sync.WaitGroup
	for _, a := range attached {
		all.Go(func() { a.Close() })
	}
	for _, in := range instances {
		all.Go(in.detach)
	}
	all.Wait()
	e.schedule.close()
	e.work.mu.Lock()
	e.work.over = true
	e.work.mu.Unlock()
	e.work.all.Wait()
	return nil
}

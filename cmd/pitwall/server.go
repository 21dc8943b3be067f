package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"pitwall/api"
	"pitwall/backend"
	"pitwall/backend/engine/process"
	"pitwall/backend/guard"
	"pitwall/backend/local"
	"pitwall/backend/logstore"
	"pitwall/backend/proxy"
	"pitwall/backend/sqlite"
)

// serveOptions say what a server owns and where it listens.
type serveOptions struct {
	state    stateFolder
	listen   []string // HOST:PORT of TCP doors
	edgeHTTP string
	name     string // of the context
	log      *slog.Logger

	// down makes a server that starts nothing, to end what runs.
	down bool

	// takeOver takes the folder from a server that runs; without it an
	// owned folder is errOwned.
	takeOver bool
}

// server is everything of one server: it owns the state folder from
// startServer to close or handOver.
type server struct {
	o     serveOptions
	lock  *os.File
	doors map[string]net.Listener // by take-over name
	take  *net.UnixListener

	store  *sqlite.Store
	engine *process.Engine
	logs   *logstore.Store
	edge   *proxy.Edge
	local  *local.Backend
	http   *http.Server

	serving context.Context // ends with close, and the websockets with it
	stop    context.CancelFunc

	down   chan bool          // a Down command: with the apps?
	takers chan *net.UnixConn // somebody takes over
	failed chan error         // a door broke

	work    sync.WaitGroup
	once    sync.Once
	lingers bool          // the edge is closed by handOver, not by close
	closing chan struct{} // closed when it begins to let go
	ended   chan struct{} // closed when wait returns, with nothing left to own
}

// startServer takes the state folder, opens the doors, and serves. The unix
// socket accepts connections before everything behind it stands, so that a
// client that comes early waits instead of failing.
func (c *cli) startServer(ctx context.Context, o serveOptions) (*server, error) {
	s, err := c.openDoors(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := s.assemble(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// openDoors takes ownership and listens.
func (c *cli) openDoors(ctx context.Context, o serveOptions) (*server, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := o.state.make(); err != nil {
		return nil, err
	}
	s := &server{
		o: o, doors: map[string]net.Listener{}, down: make(chan bool, 1),
		takers: make(chan *net.UnixConn), failed: make(chan error, 1),
		closing: make(chan struct{}), ended: make(chan struct{}),
	}
	s.serving, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	lock, err := o.state.lock()
	var from *heritage
	if errors.Is(err, errOwned) && o.takeOver {
		if from, err = takeOver(ctx, o.state); err == nil {
			lock = from.lock
		}
	}
	if err != nil {
		return nil, err
	}
	s.lock = lock
	s.edge = proxy.New(proxy.Config{HTTPAddr: o.edgeHTTP, Inherited: from.edge(), Log: o.log})
	if err := s.listen(from); err != nil {
		return nil, errors.Join(err, s.close())
	}
	from.close()
	return s, nil
}

// listen opens the sockets that were not handed on.
func (s *server) listen(from *heritage) error {
	if l := from.listener(socketName); l != nil {
		s.doors[socketName] = l
	} else {
		l, err := listenUnix(s.o.state.file(socketFile))
		if err != nil {
			return fmt.Errorf("open the server's socket: %w", err)
		}
		s.doors[socketName] = l
	}
	for _, addr := range s.o.listen {
		addr, err := loopback(addr)
		if err != nil {
			return err
		}
		if l := from.listener(tcpPrefix + addr); l != nil {
			s.doors[tcpPrefix+addr] = l
			continue
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return backend.Errorf(backend.Conflict, "%w: give --listen another port, or end the program that is there", err)
		}
		s.doors[tcpPrefix+addr] = l
	}
	take, err := listenUnix(s.o.state.file(takeoverFile))
	if err != nil {
		return fmt.Errorf("open the take-over socket: %w", err)
	}
	s.take = take
	return nil
}

// loopback completes an address and refuses one that is not this machine's
// own.
func loopback(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || !validPort(port) {
		return "", usagef("--listen %q is not HOST:PORT, for example 127.0.0.1:7070", addr)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	if ip := net.ParseIP(strings.Trim(host, "[]")); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", usagef("--listen %q is not a loopback address: beyond this machine Pitwall does not listen yet; use 127.0.0.1:%s", addr, port)
	}
	return net.JoinHostPort(host, port), nil
}

// assemble builds what stands behind the doors and serves.
func (s *server) assemble(ctx context.Context) error {
	exe, err := self()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	token, err := s.o.state.bearerToken()
	if err != nil {
		return err
	}
	if s.store, err = sqlite.Open(ctx, sqlite.Config{Path: s.o.state.file(databaseFile)}); err != nil {
		return err
	}
	s.logs = logstore.New(logstore.Config{Log: s.o.log})
	s.engine, err = process.New(ctx, process.Config{Dir: s.o.state.file(instancesDir), Exe: exe, Log: s.o.log})
	if err != nil {
		return err
	}
	s.local, err = local.New(ctx, local.Config{
		Store: s.store, Engine: s.engine, Edge: s.edge, Logs: s.logs, Log: s.o.log,
		Bundles: s.o.state.file(bundlesDir), Node: s.node(),
		Down: s.o.down, OnDown: func(apps bool) { s.down <- apps },
	})
	if err != nil {
		return err
	}
	if dropped := s.edge.DropInherited(); len(dropped) > 0 {
		s.o.log.Info("edge addresses that no route has any more are let go", "addresses", dropped)
	}
	s.serve(api.New(api.Config{
		Backend: guard.New(s.local, guard.Owner(), refusals{s.store, s.o.log}), Version: version(), Token: token, Log: s.o.log,
	}))
	s.work.Go(s.acceptTakers)
	s.work.Go(s.retain)
	return nil
}

func (s *server) node() backend.Node {
	host, _ := os.Hostname()
	name := s.o.name
	if name == "" {
		name = "local"
	}
	return backend.Node{
		Name: host, Version: version(), PID: os.Getpid(), Started: time.Now(), Context: name,
		StateDir: s.o.state.path, Addresses: s.addresses(),
	}
}

// addresses lists where the server can be reached.
func (s *server) addresses() []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(s.doors)) {
		if name == socketName {
			all = append(all, "unix:"+s.o.state.file(socketFile))
			continue
		}
		all = append(all, "http://"+s.doors[name].Addr().String())
	}
	return all
}

// serve answers at every door.
func (s *server) serve(h http.Handler) {
	s.http = &http.Server{
		Handler: h, ConnContext: api.ConnContext, ReadHeaderTimeout: api.ReadHeaderTimeout, MaxHeaderBytes: api.MaxHeaderBytes,
		BaseContext: func(net.Listener) context.Context { return s.serving },
		ErrorLog:    slog.NewLogLogger(s.o.log.Handler(), slog.LevelDebug),
	}
	for _, l := range s.doors {
		s.work.Go(func() {
			if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				select {
				case s.failed <- fmt.Errorf("serve %s: %w", l.Addr(), err):
				default:
				}
			}
		})
	}
}

// retainEvery is how often logs are cut back to what each app may keep. A
// segment is 16 MiB, so that an app that writes 25 MB/s is one gigabyte over
// at most.
const retainEvery = 30 * time.Second

func (s *server) retain() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	tick := time.NewTicker(retainEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.closing:
			return
		case <-tick.C:
			if err := s.logs.Retain(ctx); err != nil {
				s.o.log.Warn("retain logs", "err", err)
			}
		}
	}
}

func (s *server) acceptTakers() {
	for {
		conn, err := s.take.AcceptUnix()
		if err != nil {
			return
		}
		if err := api.CheckPeer(conn); err != nil {
			s.o.log.Warn("refused a take-over", "err", err)
			conn.Close()
			continue
		}
		select {
		case s.takers <- conn:
		case <-s.closing:
			conn.Close()
			return
		}
	}
}

// lastWords is how long a server that goes down lets its clients read how that
// went.
const lastWords = 200 * time.Millisecond

// wait blocks until ctx ends, the server is told to go down, somebody takes
// over, or a door breaks; then it has let go of everything. It is called once.
func (s *server) wait(ctx context.Context) error {
	defer close(s.ended)
	select {
	case <-ctx.Done():
		return s.close()
	case <-s.down:
		time.Sleep(lastWords)
		return s.close()
	case conn := <-s.takers:
		return s.handOver(conn)
	case err := <-s.failed:
		return errors.Join(err, s.close())
	case <-s.closing:
		return nil
	}
}

// obey ends the server when it is told to go down, and returns when it has
// ended; the server of one command has nobody in wait.
func (s *server) obey() {
	select {
	case <-s.down:
		if err := s.close(); err != nil {
			s.o.log.Warn("go down", "err", err)
		}
	case <-s.closing:
	}
}

// gone reports whether the server owns nothing any more.
func (s *server) gone() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// busy reports whether anything runs, or is wanted to.
func (s *server) busy(ctx context.Context) (bool, error) {
	if s.local == nil {
		return false, nil
	}
	apps, err := s.local.Apps(ctx, backend.AppQuery{})
	if err != nil {
		return false, err
	}
	for _, a := range apps.Items {
		if a.Desired == backend.DesiredStarted {
			return true, nil
		}
	}
	jobs, err := s.local.Jobs(ctx, backend.JobQuery{})
	for _, j := range jobs.Items {
		if j.Running > 0 || j.Schedule != "" {
			return true, err
		}
	}
	return false, err
}

// handOver gives everything to the taker on conn.
func (s *server) handOver(conn *net.UnixConn) error {
	defer conn.Close()
	files, err := s.files()
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	if err != nil {
		return errors.Join(err, s.close())
	}
	lock := s.lock
	s.lock = nil
	defer lock.Close()
	s.edge.CloseListeners() // who connects now waits for the taker
	s.lingers = true
	closed := s.close()
	handed := handOver(conn, lock, files)
	ctx, cancel := context.WithTimeout(context.Background(), lingerTime)
	defer cancel()
	if err := s.edge.Shutdown(ctx); err != nil {
		s.o.log.Info("connections are cut", "err", err)
	}
	return errors.Join(closed, handed, s.edge.Close())
}

// lingerTime is what the edge's open connections get to come to their end once
// the next server listens: enough for a request in flight, and short, since the
// next server can neither see nor kick them.
const lingerTime = time.Second

// files duplicates every listening socket.
func (s *server) files() (map[string]*os.File, error) {
	files := map[string]*os.File{}
	for name, l := range s.doors {
		f, err := l.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			return files, fmt.Errorf("hand over %s: %w", name, err)
		}
		files[name] = f
	}
	edge, err := s.edge.Files()
	for addr, f := range edge {
		files[edgePrefix+addr] = f
	}
	return files, err
}

// close lets go of everything; what runs, runs on. It may be called again.
func (s *server) close() error {
	var err error
	s.once.Do(func() {
		close(s.closing)
		if s.take != nil {
			s.take.Close()
		}
		// Requests in flight are answered first: a command must not end as
		// called off because another server takes over.
		err = errors.Join(err, s.closeHTTP())
		s.stop()
		if s.local != nil {
			err = errors.Join(err, s.local.Close())
		}
		if !s.lingers {
			err = errors.Join(err, s.edge.Close())
		}
		if s.engine != nil {
			err = errors.Join(err, s.engine.Close())
		}
		if s.logs != nil {
			err = errors.Join(err, s.logs.Close())
		}
		if s.store != nil {
			err = errors.Join(err, s.store.Close())
		}
		s.work.Wait()
		if s.lock != nil {
			// Nobody else listens there as long as the folder is ours.
			os.Remove(s.o.state.file(socketFile))
			os.Remove(s.o.state.file(takeoverFile))
			s.lock.Close()
		}
	})
	return err
}

// closeTime is what requests in flight get when the server ends.
const closeTime = 2 * time.Second

func (s *server) closeHTTP() error {
	if s.http == nil {
		for _, l := range s.doors {
			l.Close()
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		return s.http.Close()
	}
	return nil
}

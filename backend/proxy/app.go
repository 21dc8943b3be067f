package proxy

import (
	"errors"
	"fmt"
	"net"
	"strings"
)

// App is everything the edge knows of one app. It is a value: the edge keeps
// nothing of the caller's slices.
type App struct {
	ID   string // unique on this edge and never empty
	Name string // for people; the ID where it is empty

	// Process is what a route without a process means. Where it is empty too,
	// it is the process of the first target.
	Process string
	Routes  []Route
	Targets []Target

	// Blocked refuses what is new and leaves alone what is open.
	Blocked bool

	// Attached is whether the app is in the routing table at all. The zero App
	// is not: each request is answered 503 and each connection reset.
	Attached bool
}

// Route is one way into an app: a host on the edge's HTTP listener, or an
// address with a TCP listener of its own. Exactly one of the two is set.
type Route struct {
	HTTP    string // host name, without a port; case does not matter
	TCP     string // host:port to listen on
	Process string // the process it leads to; empty means [App.Process]
}

// String says the route as an operator would.
func (r Route) String() string {
	if r.HTTP != "" {
		return "http " + r.HTTP
	}
	return "tcp " + r.TCP
}

// Target is one instance of an app.
type Target struct {
	ID       string // unique in its app and never empty
	Process  string
	Addr     string // host:port that the instance listens on
	Ready    bool
	Blocked  bool // takes nothing new; what is open runs on
	Draining bool // the same, because it is about to stop
}

var (
	// ErrClaimed is in a [RouteError] whose host or address belongs to another
	// app, or to the edge itself.
	ErrClaimed = errors.New("already claimed")

	// ErrClosed is returned by an edge after [Edge.Close].
	ErrClosed = errors.New("the edge is closed")

	// ErrHandedOver is in a [RouteError] for a listener that would have to be
	// opened after [Edge.CloseListeners].
	ErrHandedOver = errors.New("the edge has handed its listeners over")
)

// RouteError says why one route is not served. The rest of its app is.
type RouteError struct {
	App   string // name of the app that wants the route
	Route Route
	Err   error
}

func (e *RouteError) Error() string {
	return fmt.Sprintf("app %s: route %s: %v", e.App, e.Route, e.Err)
}

func (e *RouteError) Unwrap() error { return e.Err }

// label is the app as people know it.
func (a App) label() string {
	if a.Name != "" {
		return a.Name
	}
	return a.ID
}

// check returns the app's routes in their normal form, or why the app cannot
// be declared.
func (a App) check() ([]Route, error) {
	if a.ID == "" {
		return nil, errors.New("declare app: it has no id")
	}
	if err := checkTargets(a); err != nil {
		return nil, err
	}
	routes := make([]Route, 0, len(a.Routes))
	seen := make(map[Route]bool, len(a.Routes))
	for _, r := range a.Routes {
		n, err := r.normal()
		if err != nil {
			return nil, &RouteError{App: a.label(), Route: r, Err: err}
		}
		if seen[n.key()] {
			return nil, &RouteError{App: a.label(), Route: r, Err: errors.New("it is there twice")}
		}
		seen[n.key()] = true
		routes = append(routes, n)
	}
	return routes, nil
}

func checkTargets(a App) error {
	seen := make(map[string]bool, len(a.Targets))
	for _, t := range a.Targets {
		if t.ID == "" {
			return fmt.Errorf("declare app %s: an instance has no id", a.label())
		}
		if seen[t.ID] {
			return fmt.Errorf("declare app %s: instance %s is there twice", a.label(), t.ID)
		}
		seen[t.ID] = true
	}
	return nil
}

// normal is the form in which two routes that mean the same are equal.
func (r Route) normal() (Route, error) {
	if (r.HTTP == "") == (r.TCP == "") {
		return r, errors.New("it needs either an http host or a tcp address")
	}
	if r.HTTP != "" {
		host := hostOf(r.HTTP)
		if host == "" || strings.ContainsAny(r.HTTP, " /@") {
			return r, fmt.Errorf("%q is not a host name", r.HTTP)
		}
		r.HTTP = host
		return r, nil
	}
	host, port, err := net.SplitHostPort(r.TCP)
	if err != nil {
		return r, fmt.Errorf("%q is not host:port", r.TCP)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return r, fmt.Errorf("%q is not a port", port)
	}
	r.TCP = net.JoinHostPort(strings.ToLower(host), port)
	return r, nil
}

// key identifies what the route claims, whichever process it leads to.
func (r Route) key() Route { return Route{HTTP: r.HTTP, TCP: r.TCP} }

// hostOf is a Host header as routes are keyed by it: without its port, without
// a trailing dot, in lower case.
func hostOf(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.Contains(host[i:], "]") {
		if strings.Count(host, ":") == 1 || strings.HasPrefix(host, "[") {
			host = host[:i]
		}
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

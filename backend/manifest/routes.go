package manifest

import (
	"net"
	"regexp"
	"strconv"
	"strings"

	"pitwall/backend"
)

// hostName is a name of letters, digits and hyphens, in labels.
var hostName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)

// routes are all routes of a declaration: two apps cannot have one way in.
type routes struct {
	hosts     []declaredRoute
	listeners []declaredRoute
}

// declaredRoute is a route and where it was declared.
type declaredRoute struct {
	place
	app  string
	host string
	port int
}

// route decodes one route of an app.
func (d *decoder) route(app backend.AppSpec, v *value, at trail) backend.Route {
	r := backend.Route{
		HTTP:    strings.ToLower(d.text(v, "http", at)),
		TCP:     d.text(v, "tcp", at),
		Process: d.text(v, "process", at),
	}
	hasHTTP, hasTCP := v.field("http") != nil, v.field("tcp") != nil
	if hasHTTP == hasTCP && !v.wrong {
		d.report.add(v.line, at, "expected either http or tcp, not %s", map[bool]string{true: "both", false: "none"}[hasHTTP])
	}
	if _, ok := app.Process(r.Process); r.Process != "" && !ok {
		d.report.add(v.field("process").line, at.with("process"), "the app has no process %s", quote(r.Process))
	}
	here := declaredRoute{place: place{d.report.file, v.line, at}, app: app.Name}
	if r.HTTP != "" {
		d.host(r.HTTP, here, at)
	}
	if r.TCP != "" {
		d.listener(r.TCP, here, at)
	}
	return r
}

func (d *decoder) host(name string, here declaredRoute, at trail) {
	if !hostName.MatchString(name) {
		d.report.add(here.line, at.with("http"), "expected a host name alone, such as cache.localhost, not %s", quote(name))
		return
	}
	here.host = name
	d.routes.hosts = append(d.routes.hosts, here)
}

func (d *decoder) listener(address string, here declaredRoute, at trail) {
	host, port, err := net.SplitHostPort(address)
	n, numeric := strconv.Atoi(port)
	isHost := net.ParseIP(host) != nil || hostName.MatchString(strings.ToLower(host))
	if err != nil || numeric != nil || n < 1 || n > 65535 || !isHost {
		d.report.add(here.line, at.with("tcp"), "expected HOST:PORT, such as 127.0.0.1:6390, not %s", quote(address))
		return
	}
	here.host, here.port = strings.ToLower(host), n
	d.routes.listeners = append(d.routes.listeners, here)
}

// check reports each way in that two routes have.
func (r *routes) check(report *report) {
	hosts := make(map[string]declaredRoute)
	for _, route := range r.hosts {
		if first, ok := hosts[route.host]; ok {
			report.addIn(route.file, route.line, route.path, "the host %s leads to app %s already, at %s:%d", route.host, first.app, first.file, first.line)
			continue
		}
		hosts[route.host] = route
	}
	ports := make(map[int][]declaredRoute)
	for _, route := range r.listeners {
		for _, first := range ports[route.port] {
			if sameAddress(first.host, route.host) {
				report.addIn(route.file, route.line, route.path, "port %d leads to app %s already, at %s:%d", route.port, first.app, first.file, first.line)
				break
			}
		}
		ports[route.port] = append(ports[route.port], route)
	}
}

// sameAddress reports whether two listeners of one port are in each other's
// way: the same host, or one of them on every address.
func sameAddress(a, b string) bool {
	any := func(host string) bool {
		ip := net.ParseIP(host)
		return ip != nil && ip.IsUnspecified()
	}
	return a == b || any(a) || any(b)
}

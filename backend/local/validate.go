package local

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"pitwall/backend"
)

// maxCount is the most instances of a process: a slip of the finger must not
// take the machine.
const maxCount = 1000

var (
	envName    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	signalName = regexp.MustCompile(`^[A-Z][A-Z0-9+-]*$`)
	hostName   = regexp.MustCompile(`^(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)
)

// maxReason and maxKey bound what is kept with every operation, in bytes: a
// reason is a paragraph, a key an identifier.
const (
	maxReason = 4000
	maxKey    = 200
)

func validIntent(i backend.Intent) error {
	if len(i.Reason) > maxReason {
		return backend.Errorf(backend.Invalid, "the reason has %d bytes: %d are kept at most", len(i.Reason), maxReason)
	}
	if len(i.Key) > maxKey {
		return backend.Errorf(backend.Invalid, "the idempotency key has %d bytes: %d are kept at most", len(i.Key), maxKey)
	}
	return nil
}

func validCount(n int) error {
	if n < 0 || n > maxCount {
		return backend.Errorf(backend.Invalid, "%d instances are not possible: 0 to %d are", n, maxCount)
	}
	return nil
}

func validSignal(s string) error {
	if s != "" && (!signalName.MatchString(s) || strings.HasPrefix(s, "SIG")) {
		return backend.Errorf(backend.Invalid, "%q is not a signal: write it like TERM, without SIG", s)
	}
	return nil
}

// invalid says where in a declaration something is wrong.
func invalid(where, format string, args ...any) error {
	return backend.Errorf(backend.Invalid, "%s: %w", where, fmt.Errorf(format, args...))
}

func validScope(where string, s backend.Scope) error {
	for _, n := range []string{s.Team, s.Space} {
		if err := backend.ValidName(n); err != nil {
			return invalid(where, "%w", err)
		}
	}
	return nil
}

// normalApp fills in what an app's declaration leaves out.
func normalApp(s backend.AppSpec) backend.AppSpec {
	s.Scope = s.Scope.OrDefault()
	s.Routes = slices.Clone(s.Routes)
	for i := range s.Routes {
		s.Routes[i].HTTP = strings.ToLower(s.Routes[i].HTTP)
	}
	return s
}

func validApp(s backend.AppSpec) error {
	where := "app " + s.Name
	if err := backend.ValidName(s.Name); err != nil {
		return invalid(where, "%w", err)
	}
	if err := validScope(where, s.Scope); err != nil {
		return err
	}
	if len(s.Processes) == 0 {
		return invalid(where, "it has no process")
	}
	seen := make(map[string]bool)
	for _, p := range s.Processes {
		if seen[p.Name] {
			return invalid(where, "the process %s is declared twice", p.Name)
		}
		seen[p.Name] = true
		if err := validProcess(where, p); err != nil {
			return err
		}
	}
	for _, r := range s.Routes {
		if err := validRoute(where, r); err != nil {
			return err
		}
		if _, ok := s.Process(r.Process); !ok {
			return invalid(where, "the route %s leads to a process %s that it does not have", r, r.Process)
		}
	}
	if s.Levels != backend.LevelsNone && s.Levels != backend.LevelsFile {
		return invalid(where, "levels %q is not known: write file, or leave it out", s.Levels)
	}
	if s.Logs.MaxBytes < 0 || s.Logs.MaxAge < 0 {
		return invalid(where, "its log can not be kept for less than nothing")
	}
	return validEnv(where, s.Env)
}

func validEnv(where string, env map[string]string) error {
	for name, value := range env {
		if !envName.MatchString(name) {
			return invalid(where, "%q can not name a variable of the environment", name)
		}
		if strings.HasPrefix(name, "PITWALL_") {
			return invalid(where, "the variable %s is Pitwall's own", name)
		}
		if strings.Contains(value, "\x00") {
			return invalid(where, "the variable %s has a zero byte", name)
		}
	}
	return nil
}

func validProcess(where string, p backend.ProcessSpec) error {
	if err := backend.ValidName(p.Name); err != nil {
		return invalid(where, "%w", err)
	}
	where += " process " + p.Name
	if err := validCommand(where, p.Command); err != nil {
		return err
	}
	if err := validCount(p.Instances); err != nil {
		return invalid(where, "%w", err)
	}
	switch p.Restart.Policy {
	case "", backend.RestartAlways, backend.RestartOnFailure, backend.RestartNever:
	default:
		return invalid(where, "the restart policy %q is not known: write always, on-failure or never", p.Restart.Policy)
	}
	if p.Restart.Budget < 0 || p.Restart.Window < 0 || p.Stop.Grace < 0 || p.Memory < 0 || p.CPU < 0 {
		return invalid(where, "budget, window, grace, memory and cpu can not be less than nothing")
	}
	if err := validSignal(p.Stop.Signal); err != nil {
		return invalid(where, "%w", err)
	}
	if err := validCheck(where+" health", p.Health); err != nil {
		return err
	}
	return validCheck(where+" ready", p.Ready)
}

func validCommand(where string, c backend.CommandLine) error {
	switch {
	case len(c.Args) > 0 && c.Shell != "":
		return invalid(where, "its command is a list or a text, not both")
	case len(c.Args) > 0 && c.Args[0] == "", len(c.Args) == 0 && strings.TrimSpace(c.Shell) == "":
		return invalid(where, "it has no command")
	case slices.ContainsFunc(c.Args, func(s string) bool { return strings.Contains(s, "\x00") }), strings.Contains(c.Shell, "\x00"):
		return invalid(where, "its command has a zero byte")
	}
	return nil
}

func validCheck(where string, c *backend.Check) error {
	if c == nil {
		return nil
	}
	kinds := 0
	for _, set := range []bool{c.TCP, c.HTTP != "", len(c.Exec) > 0} {
		if set {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return invalid(where, "exactly one of tcp, http and exec is asked")
	case c.HTTP != "" && !strings.HasPrefix(c.HTTP, "/"):
		return invalid(where, "the path %q does not begin with /", c.HTTP)
	case c.Interval < 0 || c.Timeout < 0 || c.Failures < 0:
		return invalid(where, "interval, timeout and failures can not be less than nothing")
	}
	return nil
}

func validRoute(where string, r backend.Route) error {
	switch {
	case (r.HTTP == "") == (r.TCP == ""):
		return invalid(where, "a route has exactly one of http and tcp")
	case r.HTTP != "":
		if !hostName.MatchString(r.HTTP) || len(r.HTTP) > 253 {
			return invalid(where, "%q is not a host name", r.HTTP)
		}
		return nil
	}
	_, port, err := net.SplitHostPort(r.TCP)
	if err != nil {
		return invalid(where, "%q is not an address: write HOST:PORT", r.TCP)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return invalid(where, "%q is not a port of an address", port)
	}
	return nil
}

func normalJob(s backend.JobSpec) backend.JobSpec {
	s.Scope = s.Scope.OrDefault()
	if s.Concurrency == "" {
		s.Concurrency = backend.ConcurrencyForbid
	}
	return s
}

func validJob(s backend.JobSpec) error {
	where := "job " + s.Name
	if err := backend.ValidName(s.Name); err != nil {
		return invalid(where, "%w", err)
	}
	if err := validScope(where, s.Scope); err != nil {
		return err
	}
	if err := validCommand(where, s.Command); err != nil {
		return err
	}
	if _, err := scheduleOf(s); err != nil {
		return invalid(where, "%w", err)
	}
	switch s.Concurrency {
	case backend.ConcurrencyForbid, backend.ConcurrencyAllow, backend.ConcurrencyReplace:
	default:
		return invalid(where, "the concurrency %q is not known: write forbid, allow or replace", s.Concurrency)
	}
	if s.Deadline < 0 || s.Keep < 0 || s.Memory < 0 || s.CPU < 0 || s.Stop.Grace < 0 {
		return invalid(where, "deadline, keep, memory, cpu and grace can not be less than nothing")
	}
	if err := validSignal(s.Stop.Signal); err != nil {
		return invalid(where, "%w", err)
	}
	return validEnv(where, s.Env)
}

// scheduleOf reads a job's schedule; nil when it has none.
func scheduleOf(s backend.JobSpec) (cron.Schedule, error) {
	zone := time.Local
	if s.Timezone != "" {
		var err error
		if zone, err = time.LoadLocation(s.Timezone); err != nil {
			return nil, fmt.Errorf("the time zone %q is not known", s.Timezone)
		}
	}
	if s.Schedule == "" {
		return nil, nil
	}
	if len(strings.Fields(s.Schedule)) != 5 {
		return nil, fmt.Errorf("the schedule %q has not the five fields minute, hour, day, month, weekday", s.Schedule)
	}
	sched, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow).Parse(s.Schedule)
	if err != nil {
		return nil, fmt.Errorf("the schedule %q: %w", s.Schedule, err)
	}
	if spec, ok := sched.(*cron.SpecSchedule); ok {
		spec.Location = zone
	}
	return sched, nil
}

// routeClash finds two apps that claim one way in. The apps are those that
// would be there.
func routeClash(apps []backend.AppSpec) error {
	owner := make(map[string]string)
	ports := make(map[string][]string) // port to the hosts that are claimed
	for _, a := range apps {
		name := a.Qualify(a.Name)
		for _, r := range a.Routes {
			key := r.String()
			if other, taken := owner[key]; taken {
				if other == name {
					return invalid("app "+a.Name, "the route %s is declared twice", r)
				}
				return invalid("app "+a.Name, "the route %s is taken by %s", r, other)
			}
			owner[key] = name
			if r.TCP == "" {
				continue
			}
			host, port, err := net.SplitHostPort(r.TCP)
			if err != nil || port == "0" {
				continue
			}
			for _, h := range ports[port] {
				if everywhere(h) || everywhere(host) {
					return invalid("app "+a.Name, "the route %s needs port %s, which another route has", r, port)
				}
			}
			ports[port] = append(ports[port], host)
		}
	}
	return nil
}

func everywhere(host string) bool { return host == "" || host == "0.0.0.0" || host == "::" }

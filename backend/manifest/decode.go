package manifest

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"pitwall/backend"
)

// decoder makes specs of values and checks what a schema cannot say. It leaves
// alone what is marked wrong.
type decoder struct {
	report      *report
	declaration Declaration
	routes      *routes

	names map[string]place // by team/space/name
}

// place is where something was declared.
type place struct {
	file string
	line int
	path trail
}

func newDecoder(r *report) *decoder {
	return &decoder{report: r, routes: new(routes), names: make(map[string]place)}
}

// document decodes one document of the file that is being read.
func (d *decoder) document(doc *value) {
	for _, f := range section(doc, "apps") {
		at := trail{"apps", f.key}
		app := d.app(f.key, f.value, at)
		d.declare(app.Scope, f, at)
		d.declaration.Apps = append(d.declaration.Apps, app)
	}
	for _, f := range section(doc, "jobs") {
		at := trail{"jobs", f.key}
		job := d.job(f.key, f.value, at)
		d.declare(job.Scope, f, at)
		d.declaration.Jobs = append(d.declaration.Jobs, job)
	}
}

// section returns the fields of a top level key that are mappings.
func section(doc *value, key string) []field {
	v := doc.field(key)
	if doc.kind != mapping || v == nil || v.kind != mapping {
		return nil
	}
	var out []field
	for _, f := range v.fields {
		if f.value.kind == mapping && backend.ValidName(f.key) == nil {
			out = append(out, f)
		}
	}
	return out
}

// declare keeps a name, and says where it was taken before.
func (d *decoder) declare(scope backend.Scope, f field, at trail) {
	full := scope.Qualify(f.key)
	if first, ok := d.names[full]; ok {
		d.report.add(f.line, at, "the name %s is taken by %s at %s:%d", full, first.path, first.file, first.line)
		return
	}
	d.names[full] = place{d.report.file, f.line, at}
}

// together checks what only all files together show.
func (d *decoder) together() {
	d.routes.check(d.report)
}

func (d *decoder) app(name string, v *value, at trail) backend.AppSpec {
	app := backend.AppSpec{
		Name:        name,
		Scope:       d.scope(v),
		Description: d.text(v, "description", at),
		Env:         d.env(v, at, "PORT"),
		Levels:      backend.LevelsSpec(d.text(v, "levels", at)),
		Labels:      d.texts(v, "labels", at),
	}
	extra := []string{"PORT"}
	if app.Levels == backend.LevelsFile {
		extra = append(extra, "PITWALL_LOGGERS")
	}
	known := newVariables(app.Env, extra...)
	if processes := v.field("processes"); processes != nil {
		for _, f := range processes.fields {
			if f.value.kind == mapping && !onlyKey(f) {
				app.Processes = append(app.Processes, d.process(f.key, f.value, known, at.with("processes").with(f.key)))
			}
		}
	}
	if list := v.field("routes"); list != nil {
		for i, item := range list.items {
			if item.kind == mapping {
				app.Routes = append(app.Routes, d.route(app, item, at.with("routes").at(i)))
			}
		}
	}
	if logs := v.field("logs"); logs != nil {
		in := at.with("logs")
		app.Logs.MaxBytes = read(d, logs, "size", in, parseMemory)
		app.Logs.MaxAge = d.duration(logs, "age", in)
		app.Logs.Block = d.flag(logs, "block")
	}
	return app
}

// onlyKey reports whether a field's key was refused.
func onlyKey(f field) bool {
	return f.value.wrong && backend.ValidName(f.key) != nil
}

func (d *decoder) process(name string, v *value, known variables, at trail) backend.ProcessSpec {
	p := backend.ProcessSpec{
		Name:      name,
		Command:   d.command(v, known, at),
		Dir:       d.dir(v, at),
		User:      d.text(v, "user", at),
		Instances: d.number(v, "instances", 1),
		Memory:    read(d, v, "memory", at, parseMemory),
		CPU:       read(d, v, "cpu", at, parseCPU),
		Health:    d.check(v, "health", known, at),
		Ready:     d.check(v, "ready", known, at),
		Stop:      d.stop(v, at),
	}
	if restart := v.field("restart"); restart != nil {
		in := at.with("restart")
		p.Restart.Policy = backend.RestartPolicy(d.text(restart, "policy", in))
		p.Restart.Budget = d.number(restart, "budget", 0)
		p.Restart.Window = d.duration(restart, "window", in)
	}
	p.Restart = p.Restart.OrDefault()
	return p
}

func (d *decoder) job(name string, v *value, at trail) backend.JobSpec {
	job := backend.JobSpec{
		Name:        name,
		Scope:       d.scope(v),
		Description: d.text(v, "description", at),
		Schedule:    read(d, v, "schedule", at, parseSchedule),
		Timezone:    read(d, v, "timezone", at, parseZone),
		Deadline:    d.duration(v, "deadline", at),
		Concurrency: backend.Concurrency(d.text(v, "concurrency", at)),
		Keep:        d.number(v, "keep", 10),
		Dir:         d.dir(v, at),
		User:        d.text(v, "user", at),
		Env:         d.env(v, at),
		Memory:      read(d, v, "memory", at, parseMemory),
		CPU:         read(d, v, "cpu", at, parseCPU),
		Stop:        d.stop(v, at),
		Labels:      d.texts(v, "labels", at),
	}
	if job.Concurrency == "" {
		job.Concurrency = backend.ConcurrencyForbid
	}
	job.Command = d.command(v, newVariables(job.Env), at)
	return job
}

func (d *decoder) scope(v *value) backend.Scope {
	s := backend.Scope{Team: d.text(v, "team", nil), Space: d.text(v, "space", nil)}
	return s.OrDefault()
}

func (d *decoder) stop(v *value, at trail) backend.StopSpec {
	var s backend.StopSpec
	if stop := v.field("stop"); stop != nil {
		in := at.with("stop")
		s.Signal = read(d, stop, "signal", in, parseSignal)
		s.Grace = d.duration(stop, "grace", in)
	}
	return s.OrDefault()
}

// check decodes health or ready.
func (d *decoder) check(v *value, key string, known variables, at trail) *backend.Check {
	v = v.field(key)
	if v == nil || v.kind != mapping {
		return nil
	}
	at = at.with(key)
	var kinds []string
	for _, kind := range []string{"tcp", "http", "exec"} {
		if v.field(kind) != nil {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) != 1 && !v.wrong {
		d.report.add(v.line, at, "expected one of tcp, http and exec, not %s", count(kinds))
	}
	c := backend.Check{
		TCP:      d.flag(v, "tcp"),
		HTTP:     d.text(v, "http", at),
		Interval: d.duration(v, "interval", at),
		Timeout:  d.duration(v, "timeout", at),
		Failures: d.number(v, "failures", 0),
	}
	if exec := v.field("exec"); exec != nil && exec.kind == list {
		c.Exec = d.words(exec, known, at.with("exec"))
	}
	c = c.OrDefault()
	return &c
}

func count(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, " and ")
}

// command decodes a list or a text.
func (d *decoder) command(v *value, known variables, at trail) backend.CommandLine {
	c := v.field("command")
	at = at.with("command")
	switch {
	case c == nil || c.wrong:
		return backend.CommandLine{}
	case c.kind == list:
		return backend.CommandLine{Args: d.words(c, known, at)}
	case strings.TrimSpace(c.text) == "":
		d.report.add(c.line, at, "is empty: expected a command")
	}
	d.clean(c, at)
	return backend.CommandLine{Shell: c.text}
}

// words decodes the words of a command that is exec'd.
func (d *decoder) words(v *value, known variables, at trail) []string {
	var out []string
	for i, item := range v.items {
		if item.wrong || item.kind != scalar {
			continue
		}
		d.clean(item, at.at(i))
		if err := known.check(item.text); err != nil {
			d.report.add(item.line, at.at(i), "%v", err)
		}
		out = append(out, item.text)
	}
	if len(out) > 0 && len(out) == len(v.items) && strings.TrimSpace(out[0]) == "" {
		d.report.add(v.line, at, "begins with an empty word: expected a program")
	}
	return out
}

// clean refuses the one byte that no argument, path or variable can hold.
func (d *decoder) clean(v *value, at trail) {
	if strings.ContainsRune(v.text, 0) {
		d.report.add(v.line, at, "has a zero byte, which no program can be given")
	}
}

func (d *decoder) dir(v *value, at trail) string {
	dir := d.text(v, "dir", at)
	if dir == "" {
		return ""
	}
	return path.Clean(dir)
}

// env decodes variables; those that the platform sets are refused.
func (d *decoder) env(v *value, at trail, reserved ...string) map[string]string {
	env := d.texts(v, "env", at)
	if len(env) == 0 {
		return nil
	}
	for _, f := range v.field("env").fields {
		in := at.with("env").with(f.key)
		if strings.HasPrefix(f.key, "PITWALL_") {
			d.report.add(f.line, in, "names that begin with PITWALL_ are the platform's: choose another")
		}
		for _, name := range reserved {
			if f.key == name {
				d.report.add(f.line, in, "is chosen by the platform, an instance each: use $%s in the command", name)
			}
		}
	}
	return env
}

// texts decodes a mapping of texts. Numbers and truth values stay as written.
func (d *decoder) texts(v *value, key string, at trail) map[string]string {
	v = v.field(key)
	if v == nil || v.kind != mapping || len(v.fields) == 0 {
		return nil
	}
	out := make(map[string]string, len(v.fields))
	for _, f := range v.fields {
		if !f.value.wrong {
			d.clean(f.value, at.with(key).with(f.key))
			out[f.key] = f.value.text
		}
	}
	return out
}

func (d *decoder) text(v *value, key string, at trail) string {
	f := v.field(key)
	if f == nil || f.wrong || f.kind != scalar {
		return ""
	}
	d.clean(f, at.with(key))
	return f.text
}

func (d *decoder) flag(v *value, key string) bool {
	f := v.field(key)
	if f == nil || f.wrong {
		return false
	}
	b, _ := f.plain().(bool)
	return b
}

// number decodes a number that the schema has found to be whole.
func (d *decoder) number(v *value, key string, absent int) int {
	f := v.field(key)
	if f == nil || f.wrong {
		return absent
	}
	n, ok := f.plain().(float64)
	if !ok {
		return absent
	}
	return int(n)
}

func (d *decoder) duration(v *value, key string, at trail) backend.Duration {
	return backend.Duration(read(d, v, key, at, parseDuration))
}

// read decodes a scalar with a parser whose error is the problem.
func read[T any](d *decoder, v *value, key string, at trail, parse func(string) (T, error)) T {
	var none T
	f := v.field(key)
	if f == nil || f.wrong || f.kind != scalar {
		return none
	}
	out, err := parse(f.text)
	if err != nil {
		d.report.add(f.line, at.with(key), "%v", err)
		return none
	}
	return out
}

// parseSchedule checks a cron expression.
func parseSchedule(text string) (string, error) {
	if strings.Contains(text, "TZ=") {
		return "", errors.New("expected five fields: name the zone with timezone")
	}
	s, err := cron.ParseStandard(text)
	if err != nil {
		return "", fmt.Errorf("expected a cron expression of five fields, such as 0 3 * * *, not %s: %w", quote(text), err)
	}
	// A day that no month has is found by looking for it.
	if s.Next(time.Unix(0, 0)).IsZero() {
		return "", fmt.Errorf("%s is a time that never comes", quote(text))
	}
	return text, nil
}

// parseZone checks a time zone's name.
func parseZone(text string) (string, error) {
	if text == "Local" {
		return "", errors.New("leave it out for the server's own zone")
	}
	if _, err := time.LoadLocation(text); err != nil {
		return "", fmt.Errorf("expected a time zone, such as UTC or Europe/Berlin, not %s", quote(text))
	}
	return text, nil
}

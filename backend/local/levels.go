package local

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pitwall/backend"
	"pitwall/backend/sqlite"
)

// levelKey is a logger of an app, or of one of its instances.
type levelKey struct{ app, instance, logger string }

func keyOf(l sqlite.Level) levelKey { return levelKey{l.App, l.Instance, l.Logger} }

// usualLevel is the default logger's level where nobody set one.
const usualLevel = backend.LevelInfo

func (b *Backend) planLevel(cmd backend.SetLevel) (plan, error) {
	r, err := b.target(cmd.App, cmd.Instance)
	if err != nil {
		return plan{}, err
	}
	if !r.App.Levels {
		return plan{}, backend.Errorf(backend.Unsupported, "%s takes no log levels: its manifest does not say levels: file", r.App.Name)
	}
	logger := cmd.Logger
	if logger == "" {
		logger = backend.DefaultLogger
	}
	if len(logger) > 200 || strings.ContainsFunc(logger, func(r rune) bool { return r < ' ' }) {
		return plan{}, backend.Errorf(backend.Invalid, "%.40q is not the name of a logger", logger)
	}
	level := cmd.Level
	if level != "" {
		if level, err = backend.ParseLevel(string(cmd.Level)); err != nil {
			return plan{}, err
		}
	}
	if cmd.For < 0 {
		return plan{}, backend.Errorf(backend.Invalid, "a level can not be set for %s", cmd.For)
	}
	key := levelKey{cmd.App, cmd.Instance, logger}
	b.mu.RLock()
	before := b.levels[key]
	b.mu.RUnlock()
	p := appPlan("loglevel", r, cmd.Instance)
	p.atOnce = true
	p.inverse = backend.SetLevel{App: cmd.App, Instance: cmd.Instance, Logger: logger, Level: before.Level}
	p.aspects = []string{aspectLevel(key)}
	p.begin = func(c *change, op *operation) error {
		d, err := c.theApp(cmd.App)
		if err != nil {
			return err
		}
		touched(d, aspectLevel(key), op.id)
		l := sqlite.Level{App: key.app, Instance: key.instance, Logger: logger, Level: level, Operation: op.id}
		if cmd.For > 0 {
			l.Until, l.Was = c.now.Add(cmd.For.Std()), b.levels[key].Level
			if old := b.levels[key]; !old.Until.IsZero() {
				l.Was = old.Was // what was set for a time is not what to go back to
			}
		}
		return c.setLevel(key, l, fmt.Sprintf("by %s%s", op.author, forText(cmd.For)))
	}
	p.work = func(ctx context.Context, op *operation) error {
		return op.step(fmt.Sprintf("set %s to %s", logger, orInherit(level)), func() (string, error) {
			n := b.sendLevels(ctx, cmd.App)
			return "told " + instances(n), nil
		})
	}
	return p, nil
}

func aspectLevel(k levelKey) string { return "level/" + k.instance + "/" + k.logger }

func forText(d backend.Duration) string {
	if d == 0 {
		return ""
	}
	return " for " + d.String()
}

func orInherit(l backend.Level) string {
	if l == "" {
		return "inherit"
	}
	return string(l)
}

// setLevel drafts a level and tells of the logger. One that inherits, with
// nothing to go back to, is forgotten.
func (c *change) setLevel(key levelKey, l sqlite.Level, how string) error {
	if l.Level == "" && l.Until.IsZero() {
		c.levels[key] = nil
	} else {
		c.levels[key] = &l
	}
	d := c.app(key.app)
	if d == nil {
		return nil
	}
	app := d.now.App
	logger := backend.Logger{AppID: app.ID, App: app.Name, Name: key.logger}
	if key.logger == backend.DefaultLogger {
		logger.Level = usualLevel
	}
	for k, old := range c.b.levels {
		if _, drafted := c.levels[k]; !drafted && k.app == key.app && k.logger == key.logger {
			addLevel(&logger, old)
		}
	}
	for k, l := range c.levels {
		if l != nil && k.app == key.app && k.logger == key.logger {
			addLevel(&logger, *l)
		}
	}
	where := app.Name
	if i, ok := c.b.instances[key.instance]; ok {
		where += " " + i.Instance.Name()
	}
	return c.announce(backend.Event{
		Kind: backend.EventUpdated, Ref: logger.Ref(), Scope: app.Scope, Owner: app.Name, OwnerID: app.ID, Logger: &logger,
	}, []message{{backend.LevelInfo, fmt.Sprintf("log level of %s in %s is %s, %s", key.logger, where, orInherit(l.Level), how)}})
}

// addLevel puts what was set for all instances, or for one, into a logger.
func addLevel(lg *backend.Logger, l sqlite.Level) {
	if l.Instance != "" {
		if lg.Instances == nil {
			lg.Instances = make(map[string]backend.Level)
		}
		lg.Instances[l.Instance] = l.Level
		return
	}
	if l.Level != "" || l.Logger != backend.DefaultLogger {
		lg.Level = l.Level
	}
	lg.Until, lg.Was = l.Until, l.Was
}

// levelsOf is what an instance's program is to follow. The caller holds mu.
func (b *Backend) levelsOf(app, instance string) map[string]backend.Level {
	out := map[string]backend.Level{backend.DefaultLogger: usualLevel}
	for _, of := range []string{"", instance} { // the instance's own wins
		for key, l := range b.levels {
			if key.app == app && key.instance == of && l.Level != "" {
				out[key.logger] = l.Level
			}
		}
	}
	return out
}

// setLevels tells one instance its levels.
func (b *Backend) setLevels(ctx context.Context, instance string) bool {
	b.mu.RLock()
	app := b.instances[instance].Instance.AppID
	follows := b.apps[app].App.Levels
	levels := b.levelsOf(app, instance)
	b.mu.RUnlock()
	if !follows {
		return false
	}
	if err := b.eng.SetLevels(ctx, instance, levels); err != nil {
		if ctx.Err() == nil {
			b.log.Warn("set levels", "instance", instance, "err", err)
		}
		return false
	}
	return true
}

// sendLevels tells all instances of an app their levels, and returns how many.
func (b *Backend) sendLevels(ctx context.Context, app string) int {
	n := 0
	for _, id := range b.running(app) {
		if b.setLevels(ctx, id) {
			n++
		}
	}
	return n
}

// dropLevels forgets the levels of an app that is gone; the store has dropped
// them with it.
func (b *Backend) dropLevels(app string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.levels, func(k levelKey, _ sqlite.Level) bool { return k.app == app })
}

// expireLevels puts levels back that were set for a time.
func (b *Backend) expireLevels(ctx context.Context) { b.whenDue(ctx, b.nextExpiry, b.revertLevels) }

// nextExpiry is when the time of the next level is over. The caller holds mu.
func (b *Backend) nextExpiry() (due time.Time) {
	for _, l := range b.levels {
		due = sooner(due, l.Until)
	}
	return due
}

func (b *Backend) revertLevels(ctx context.Context) {
	var apps []string
	err := b.change(ctx, cause{}, func(c *change) error {
		apps = nil
		for key, l := range b.levels {
			if l.Until.IsZero() || l.Until.After(c.now) {
				continue
			}
			apps = append(apps, key.app)
			back := sqlite.Level{App: l.App, Instance: l.Instance, Logger: l.Logger, Level: l.Was}
			if err := c.setLevel(key, back, "its time is over"); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.log.Error("put levels back", "err", err)
		sleep(ctx, time.Second)
		return
	}
	slices.Sort(apps)
	for _, app := range slices.Compact(apps) {
		b.sendLevels(ctx, app)
	}
}

// Loggers lists the loggers of an app: the default, what was set, and what
// its programs announced.
func (b *Backend) Loggers(ctx context.Context, q backend.LoggerQuery) (backend.List[backend.Logger], error) {
	if err := b.enter(ctx); err != nil {
		return backend.List[backend.Logger]{}, err
	}
	r, err := b.appOf(q.App)
	if err != nil {
		return backend.List[backend.Logger]{}, err
	}
	if !r.App.Levels {
		b.mu.RLock()
		defer b.mu.RUnlock()
		return backend.List[backend.Logger]{Index: b.index, Items: []backend.Logger{}}, nil
	}
	announced := make(map[string]bool)
	for _, id := range b.living(q.App, "") {
		names, err := b.eng.Loggers(ctx, id)
		if err != nil && ctx.Err() != nil {
			return backend.List[backend.Logger]{}, ctx.Err()
		}
		for _, n := range names {
			announced[n] = true
		}
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	all := map[string]*backend.Logger{backend.DefaultLogger: {Level: usualLevel}}
	for name := range announced {
		if name != "" && all[name] == nil {
			all[name] = &backend.Logger{}
		}
	}
	for key, l := range b.levels {
		if key.app != q.App {
			continue
		}
		if all[key.logger] == nil {
			all[key.logger] = &backend.Logger{}
		}
		addLevel(all[key.logger], l)
	}
	items := make([]keyed[backend.Logger], 0, len(all))
	for name, lg := range all {
		lg.AppID, lg.App, lg.Name, lg.Announced = q.App, r.App.Name, name, announced[name]
		key := "1" + name
		if name == backend.DefaultLogger {
			key = "0"
		}
		items = append(items, keyed[backend.Logger]{key, *lg})
	}
	return paged(items, q.Page, b.index)
}

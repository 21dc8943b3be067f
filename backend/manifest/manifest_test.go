package manifest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pitwall/backend"
	"pitwall/backend/manifest"
)

// schema is the one that ships. It is read as a file, since backend knows
// nothing of the assets.
func schema(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile("../../assets/schema/manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func parse(t testing.TB, text string) (manifest.Declaration, error) {
	t.Helper()
	return manifest.Parse(schema(t), manifest.File{Name: "m.yaml", Body: []byte(text)})
}

func TestParse(t *testing.T) {
	got, err := parse(t, `
apps:
  cache:
    team: shop
    space: dev
    processes:
      main:
        command: ["redis-server", "--port", "$PORT", --save, "", --maxclients, 100]
        dir: /srv/cache/
        user: redis
        restart: {policy: on-failure, budget: 5, window: 1m}
        instances: 2
        memory: 256Mi
        cpu: 500m
        health: {tcp: true, interval: 2s, timeout: 500ms, failures: 4}
        ready: {exec: [redis-cli, -p, "${PORT}", ping]}
        stop: {signal: SIGINT, grace: 3s}
      aside:
        command: "echo $UNKNOWN | cat"
    env: {KEY: value, NUMBER: 0x10, FLAG: true, DAY: 2026-01-02}
    routes:
      - tcp: 127.0.0.1:6390
      - {http: Cache.Localhost, process: aside}
    levels: file
    logs: {size: 1Gi, age: 2d, block: true}
    labels: {tier: 1}
jobs:
  nightly: {command: "backup.sh", schedule: "0 3 * * *", deadline: 10m, keep: 3, concurrency: replace, timezone: UTC}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := manifest.Declaration{
		Apps: []backend.AppSpec{{
			Name:  "cache",
			Scope: backend.Scope{Team: "shop", Space: "dev"},
			Processes: []backend.ProcessSpec{{
				Name:      "main",
				Command:   backend.CommandLine{Args: []string{"redis-server", "--port", "$PORT", "--save", "", "--maxclients", "100"}},
				Dir:       "/srv/cache",
				User:      "redis",
				Instances: 2,
				Restart:   backend.RestartSpec{Policy: "on-failure", Budget: 5, Window: backend.Duration(time.Minute)},
				Memory:    256 << 20,
				CPU:       500,
				Health:    &backend.Check{TCP: true, Interval: backend.Duration(2 * time.Second), Timeout: backend.Duration(500 * time.Millisecond), Failures: 4},
				Ready:     &backend.Check{Exec: []string{"redis-cli", "-p", "${PORT}", "ping"}, Interval: backend.Duration(10 * time.Second), Timeout: backend.Duration(time.Second), Failures: 3},
				Stop:      backend.StopSpec{Signal: "INT", Grace: backend.Duration(3 * time.Second)},
			}, {
				Name:      "aside",
				Command:   backend.CommandLine{Shell: "echo $UNKNOWN | cat"},
				Instances: 1,
				Restart:   backend.RestartSpec{}.OrDefault(),
				Stop:      backend.StopSpec{}.OrDefault(),
			}},
			Env:    map[string]string{"KEY": "value", "NUMBER": "0x10", "FLAG": "true", "DAY": "2026-01-02"},
			Routes: []backend.Route{{TCP: "127.0.0.1:6390"}, {HTTP: "cache.localhost", Process: "aside"}},
			Levels: backend.LevelsFile,
			Logs:   backend.LogPolicy{MaxBytes: 1 << 30, MaxAge: backend.Duration(48 * time.Hour), Block: true},
			Labels: map[string]string{"tier": "1"},
		}},
		Jobs: []backend.JobSpec{{
			Name:        "nightly",
			Scope:       backend.Scope{}.OrDefault(),
			Command:     backend.CommandLine{Shell: "backup.sh"},
			Schedule:    "0 3 * * *",
			Timezone:    "UTC",
			Deadline:    backend.Duration(10 * time.Minute),
			Concurrency: backend.ConcurrencyReplace,
			Keep:        3,
			Stop:        backend.StopSpec{}.OrDefault(),
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Parse() (-want +got):\n%s", diff)
	}
}

// app wraps the fields of a process, at eight spaces, into a manifest. The
// fields begin on line 5.
func app(fields string) string {
	return "apps:\n  web:\n    processes:\n      main:\n        " + fields + "\n"
}

func TestProblems(t *testing.T) {
	const path = "apps.web.processes.main"
	tests := []struct {
		name, text string
		want       []string // all problems; the file's name left out
	}{
		{"empty", "", []string{"1: declares nothing: expected apps, jobs or both"}},
		{"comment alone", "# nothing\n---\n# still\n", []string{"1: declares nothing: expected apps, jobs or both"}},
		{"not YAML", "apps:\n  web: [\n", []string{"2: is not YAML: did not find expected node content"}},
		{"tab", "apps:\n  web:\n\tprocesses: {}\n", []string{"3: is not YAML: it is indented with a tab: use spaces"}},
		{"text", "hello", []string{`1: expected a manifest, not "hello"`}},
		{"list", "- 1", []string{"1: expected a manifest, not a list"}},
		{"unknown top key", "app: {}", []string{"1: app: is not known here: did you mean apps?"}},
		{"unknown key", app("comand: [x]\n        command: [x]"), []string{"5: " + path + ".comand: is not known here: did you mean command?"}},
		{"unlike any key", "apps: {}\nzzzzzzzz: 1", []string{"2: zzzzzzzz: is not known here: expected apps or jobs"}},
		{"nothing", "apps:\n", []string{"1: apps: expected a mapping of apps by name, not nothing"}},
		{"name", "apps:\n  Web_1:\n    processes: {main: {command: [x]}}", []string{`2: apps.Web_1: expected a name of a-z, 0-9 and - inside, at most 40 characters, such as web or order-worker, not "Web_1"`}},
		{"no processes", "apps:\n  web: {}", []string{"2: apps.web: processes is missing: expected a mapping of processes by name"}},
		{"empty processes", "apps:\n  web:\n    processes: {}", []string{"3: apps.web.processes: expected a mapping of processes by name, not an empty one"}},
		{"no command", app("instances: 1"), []string{"5: " + path + ": command is missing: expected a command: a list of words, or a text for sh -c"}},
		{"empty list", app("command: []"), []string{"5: " + path + ".command: expected a command: a list of words, or a text for sh -c, not an empty list"}},
		{"blank text", app(`command: "  "`), []string{"5: " + path + ".command: is empty: expected a command"}},
		{"blank word", app(`command: ["", x]`), []string{"5: " + path + ".command: begins with an empty word: expected a program"}},
		{"nested list", app(`command: [x, [y]]`), []string{"5: " + path + ".command.[1]: expected a word, not a list"}},
		{"zero byte", app(`command: ["x\0y"]`), []string{"5: " + path + ".command.[0]: has a zero byte, which no program can be given"}},
		{"unknown variable", app(`command: [x, "$PROT"]`), []string{"5: " + path + ".command.[1]: $PROT is not known here: did you mean $PORT?"}},
		{"unlike any variable", app(`command: [x, "a${SECRET_KEY}b"]`), []string{"5: " + path + ".command.[1]: $SECRET_KEY is not known here: declare it in env, or write $$ for a $"}},
		{"levels file without levels", app(`command: [x, $PITWALL_LOGGERS]`), []string{"5: " + path + ".command.[1]: $PITWALL_LOGGERS is only there with levels: file"}},
		{"dollars that name nothing", app(`command: [grep, "^a$", "$$NAME", "$5", "$"]`), nil},
		{"zone of the server", app(`command: [x, $TZ]`), []string{"5: " + path + ".command.[1]: $TZ is not known here: declare it in env, or write $$ for a $"}},
		{"open brace", app(`command: [x, "${PORT"]`), []string{"5: " + path + `.command.[1]: expected a name in braces after $, as in ${PORT}, not "${PORT"`}},
		{"variable of a check", app("command: [x]\n        health: {exec: [x, $NO]}"), []string{"6: " + path + ".health.exec.[1]: $NO is not known here: declare it in env, or write $$ for a $"}},
		{"port of a job", "jobs:\n  j: {command: [x, $PORT]}", []string{"2: jobs.j.command.[1]: $PORT is only there in the processes of an app"}},
		{"relative dir", app("command: [x]\n        dir: here"), []string{"6: " + path + `.dir: expected an absolute path, such as /srv/cache, not "here"`}},
		{"policy", app("command: [x]\n        restart: {policy: sometimes}"), []string{"6: " + path + `.restart.policy: expected always, on-failure or never, not "sometimes"`}},
		{"budget", app("command: [x]\n        restart: {budget: 0}"), []string{"6: " + path + ".restart.budget: expected a whole number of 1 or more, not the number 0"}},
		{"instances", app("command: [x]\n        instances: 1.5"), []string{"6: " + path + ".instances: expected a whole number from 0 to 1000, not the number 1.5"}},
		{"memory", app("command: [x]\n        memory: lots"), []string{"6: " + path + `.memory: expected a size, such as 256Mi or 1.5Gi, not "lots"`}},
		{"memory without a unit", app("command: [x]\n        memory: 256"), []string{"6: " + path + ".memory: 256 is less than 1Mi: write the unit, as in 256Mi"}},
		{"memory of a giant", app("command: [x]\n        memory: 99999999Ti"), []string{"6: " + path + ".memory: 99999999Ti is more than any machine has"}},
		{"cpu", app("command: [x]\n        cpu: 0"), []string{"6: " + path + `.cpu: expected a share of a core from 1m to 1000, not "0"`}},
		{"duration without a unit", "jobs:\n  j: {command: x, deadline: 10}", []string{"2: jobs.j.deadline: expected a duration, such as 10s or 5m, not the number 10"}},
		{"no duration", "jobs:\n  j: {command: x, deadline: 0s}", []string{"2: jobs.j.deadline: expected a duration of more than nothing"}},
		{"long duration", "jobs:\n  j: {command: x, deadline: 36500d}", nil},
		{"too long a duration", "jobs:\n  j: {command: x, deadline: 36500d36500d36500d}", []string{`2: jobs.j.deadline: "36500d36500d36500d" is too long`}},
		{"check without a kind", app("command: [x]\n        health: {interval: 1s}"), []string{"6: " + path + ".health: expected one of tcp, http and exec, not none"}},
		{"check of two kinds", app("command: [x]\n        ready: {tcp: true, http: /}"), []string{"6: " + path + ".ready: expected one of tcp, http and exec, not tcp and http"}},
		{"check that is off", app("command: [x]\n        ready: {tcp: false}"), []string{"6: " + path + ".ready.tcp: expected true, not the truth value false"}},
		{"check of a host", app("command: [x]\n        ready: {http: example.com/}"), []string{"6: " + path + `.ready.http: expected a path, such as /healthz, not "example.com/"`}},
		{"signal", app("command: [x]\n        stop: {signal: STOP}"), []string{"6: " + path + `.stop.signal: expected TERM, INT, QUIT, HUP, USR1, USR2, WINCH, ABRT or KILL, not "STOP"`}},
		{"env name", app("command: [x]\n    env: {A-B: 1}"), []string{`6: apps.web.env.A-B: expected a name of a variable, such as LOG_FORMAT, not "A-B"`}},
		{"env nothing", app("command: [x]\n    env: {A: }"), []string{`6: apps.web.env.A: expected a value (write "" for an empty one), not nothing`}},
		{"env of the platform", app("command: [x]\n    env: {PITWALL_TOKEN: x, PORT: 1}"), []string{
			"6: apps.web.env.PITWALL_TOKEN: names that begin with PITWALL_ are the platform's: choose another",
			"6: apps.web.env.PORT: is chosen by the platform, an instance each: use $PORT in the command",
		}},
		{"levels", app("command: [x]\n    levels: debug"), []string{`6: apps.web.levels: expected file, not "debug"`}},
		{"route of both", app("command: [x]\n    routes: [{http: a.b, tcp: 'a:1'}]"), []string{"6: apps.web.routes[0]: expected either http or tcp, not both"}},
		{"route of none", app("command: [x]\n    routes: [{process: main}]"), []string{"6: apps.web.routes[0]: expected either http or tcp, not none"}},
		{"route to a URL", app("command: [x]\n    routes: [{http: 'http://a.b/'}]"), []string{`6: apps.web.routes[0].http: expected a host name alone, such as cache.localhost, not "http://a.b/"`}},
		{"route without a host", app("command: [x]\n    routes: [{tcp: ':80'}]"), []string{`6: apps.web.routes[0].tcp: expected HOST:PORT, such as 127.0.0.1:6390, not ":80"`}},
		{"route to no process", app("command: [x]\n    routes: [{http: a.b, process: other}]"), []string{`6: apps.web.routes[0].process: the app has no process "other"`}},
		{"schedule", "jobs:\n  j: {command: x, schedule: often}", []string{`2: jobs.j.schedule: expected a cron expression of five fields, such as 0 3 * * *, not "often": expected exactly 5 fields, found 1: [often]`}},
		{"schedule with a zone", "jobs:\n  j: {command: x, schedule: 'TZ=UTC 0 3 * * *'}", []string{"2: jobs.j.schedule: expected five fields: name the zone with timezone"}},
		{"schedule that never comes", "jobs:\n  j: {command: x, schedule: '0 0 31 2 *'}", []string{`2: jobs.j.schedule: "0 0 31 2 *" is a time that never comes`}},
		{"zone", "jobs:\n  j: {command: x, timezone: ../x}", []string{`2: jobs.j.timezone: expected a time zone, such as UTC or Europe/Berlin, not "../x"`}},
		{"duplicate key", app("command: [x]\n        instances: 1\n        command: [y]"), []string{"7: " + path + ".command: is there twice: first on line 5, again on line 7"}},
		{"duplicate app", app("command: [x]") + "  web:\n    processes: {main: {command: [y]}}\n", []string{"6: apps.web: is there twice: first on line 2, again on line 6"}},
		{"app and job of one name", app("command: [x]") + "jobs:\n  web: {command: y}\n", []string{"7: jobs.web: the name default/default/web is taken by apps.web at m.yaml:2"}},
		{"documents of one name", app("command: [x]") + "---\n" + app("command: [y]"), []string{"8: apps.web: the name default/default/web is taken by apps.web at m.yaml:2"}},
		{"key that is no text", "apps: {[a]: 1}", []string{"1: apps: has a key that is not text"}},
		{"tag", "apps: {web: !thing x}", []string{`1: apps.web: has the tag "!thing": expected none`}},
		{"several", app("command: [$NO]\n        memory: lots\n        cpux: 1\n    levels: no\n    team: A"), []string{
			"5: " + path + ".command.[0]: $NO is not known here: declare it in env, or write $$ for a $",
			"6: " + path + `.memory: expected a size, such as 256Mi or 1.5Gi, not "lots"`,
			"7: " + path + ".cpux: is not known here: did you mean cpu?",
			`8: apps.web.levels: expected file, not "no"`,
			`9: apps.web.team: expected a name of a-z, 0-9 and - inside, at most 40 characters, such as web or order-worker, not "A"`,
		}},
		{"hostile text", app(`command: ["\e[2J$NO"]` + "\n        user: \"a\\e]0;x\\a\""), []string{
			"5: " + path + ".command.[0]: $NO is not known here: declare it in env, or write $$ for a $",
			"6: " + path + `.user: expected a user's name, such as redis, not "a\x1b]0;x\a"`,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := parse(t, tt.text)
			var got []string
			if err != nil {
				for line := range strings.Lines(err.Error()) {
					got = append(got, strings.TrimPrefix(strings.TrimSpace(line), "m.yaml:"))
				}
				if code := backend.CodeOf(err); code != backend.Invalid {
					t.Errorf("CodeOf() = %q, want invalid", code)
				}
				if !reflect.ValueOf(d).IsZero() {
					t.Errorf("Parse() = %v beside an error, want nothing", d)
				}
			}
			// A list's index is written without a dot before it.
			var want []string
			for _, w := range tt.want {
				want = append(want, strings.ReplaceAll(w, ".[", "["))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSeveralFilesAreOneDeclaration(t *testing.T) {
	file := func(name, text string) manifest.File { return manifest.File{Name: name, Body: []byte(text)} }
	one := "apps:\n  a:\n    processes: {main: {command: [x]}}\n    routes: [{http: x.localhost}, {tcp: '127.0.0.1:80'}]\n"
	two := "apps:\n  b:\n    processes: {main: {command: [x]}}\n    routes: [{http: X.localhost}, {tcp: '0.0.0.0:80'}]\njobs:\n  a: {command: y}\n"
	_, err := manifest.Parse(schema(t), file("one.yaml", one), file("two.yaml", two))
	if err == nil {
		t.Fatal("Parse() = nil, want an error")
	}
	want := strings.Join([]string{
		"two.yaml:4: apps.b.routes[0]: the host x.localhost leads to app a already, at one.yaml:4",
		"two.yaml:4: apps.b.routes[1]: port 80 leads to app a already, at one.yaml:4",
		"two.yaml:6: jobs.a: the name default/default/a is taken by apps.a at one.yaml:2",
	}, "\n")
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}

	two = strings.NewReplacer("X.localhost", "y.localhost", "0.0.0.0:80", "127.0.0.2:80", "  a: {", "  c: {").Replace(two)
	got, err := manifest.Parse(schema(t), file("one.yaml", one), file("two.yaml", two))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Apps) != 2 || len(got.Jobs) != 1 {
		t.Errorf("Parse() has %d apps and %d jobs, want 2 and 1", len(got.Apps), len(got.Jobs))
	}
}

func TestOneNameInTwoTeams(t *testing.T) {
	got, err := parse(t, app("command: [x]")+"---\n"+app("command: [x]\n    team: shop"))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Apps) != 2 || got.Apps[1].Team != "shop" {
		t.Errorf("Parse() = %v, want web twice", got.Apps)
	}
}

func TestAnchorsAndMerges(t *testing.T) {
	got, err := parse(t, `
apps:
  a:
    processes:
      main: &main
        command: [x]
        memory: 64Mi
        stop: &stop {grace: 1s}
  b:
    processes:
      main:
        <<: *main
        memory: 128Mi
jobs:
  j: {command: x, stop: *stop}
`)
	if err != nil {
		t.Fatal(err)
	}
	main := got.Apps[1].Processes[0]
	if main.Memory != 128<<20 || main.Command.Args[0] != "x" || main.Stop.Grace.Std() != time.Second {
		t.Errorf("merged process = %+v", main)
	}
	if got.Jobs[0].Stop.Grace.Std() != time.Second {
		t.Errorf("aliased stop = %+v", got.Jobs[0].Stop)
	}
}

func TestHarmIsBounded(t *testing.T) {
	var laughs strings.Builder
	laughs.WriteString("a: &a [x,x,x,x,x,x,x,x,x,x]\n")
	for c := 'b'; c <= 'k'; c++ {
		before := string(c - 1)
		laughs.WriteString(string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+before+",", 10) + "]\n")
	}
	for name, text := range map[string]string{
		"laughs":   laughs.String(),
		"loop":     "apps: &a {x: *a}",
		"deep":     "apps: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000),
		"big":      "apps: {}\n#" + strings.Repeat("x", 1<<20),
		"mistakes": "apps: {}\n" + strings.Repeat("? x\n", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, text)
			if err == nil {
				t.Fatal("Parse() = nil, want an error")
			}
			if n := len(err.Error()); n > 64<<10 {
				t.Errorf("the error has %d bytes", n)
			}
		})
	}
}

func TestTheDemoIsRight(t *testing.T) {
	text, err := os.ReadFile("../../assets/demo/pitwall.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.ReplaceAll(text, []byte("[$PITWALL_DEMO"), []byte("[/bin/pitwall"))
	got, err := manifest.Parse(schema(t), manifest.File{Name: "demo", Body: text})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Apps) != 6 || len(got.Jobs) != 2 {
		t.Errorf("the demo has %d apps and %d jobs, want 6 and 2", len(got.Apps), len(got.Jobs))
	}
}

func TestBrokenSchemaIsNotTheUsersFault(t *testing.T) {
	for _, text := range []string{"", "{", `{"$ref": "#/$defs/none"}`} {
		_, err := manifest.Parse([]byte(text), manifest.File{Body: []byte("apps: {}")})
		if backend.CodeOf(err) != backend.Internal {
			t.Errorf("Parse(%q) = %v, want an error of no code", text, err)
		}
	}
}

// TestSchemaDescribesItself walks the schema for what people are shown of it.
func TestSchemaDescribesItself(t *testing.T) {
	var root map[string]any
	if err := json.Unmarshal(schema(t), &root); err != nil {
		t.Fatal(err)
	}
	var walk func(path string, s map[string]any)
	walk = func(path string, s map[string]any) {
		_, ref := s["$ref"]
		if s["title"] == nil && !ref {
			t.Errorf("%s has no title", path)
		}
		for _, key := range []string{"properties", "$defs"} {
			if group, ok := s[key].(map[string]any); ok {
				for name, sub := range group {
					walk(path+"."+name, sub.(map[string]any))
				}
			}
		}
		for _, key := range []string{"items", "additionalProperties", "propertyNames"} {
			if sub, ok := s[key].(map[string]any); ok {
				walk(path+"."+key, sub)
			}
		}
	}
	walk("manifest", root)
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "apps: {}", "a: &a [*a]", app("command: [x, $PORT, $$, '${HOME}']"), app("command: x\n        memory: 1.5Gi"),
		"jobs: {j: {command: x, schedule: '*/5 * * * *', deadline: 1h30m}}", "--- !!binary x\n", "apps: {<<: {}}", "? {a: b}\n: c",
		app("command: [x]\n    routes: [{http: a.b}, {tcp: '[::1]:80'}]\n    env: {A: .inf, B: 1e3, C: 0o7}"),
	} {
		f.Add([]byte(seed))
	}
	text := schema(f)
	f.Fuzz(func(t *testing.T, input []byte) {
		file := manifest.File{Name: "fuzz", Body: input}
		got, err := manifest.Parse(text, file)
		if err == nil {
			for _, a := range got.Apps {
				if e := backend.ValidName(a.Name); e != nil || len(a.Processes) == 0 {
					t.Errorf("app %q passes: %v, %d processes", a.Name, e, len(a.Processes))
				}
				for _, p := range a.Processes {
					if len(p.Command.Args) == 0 && p.Command.Shell == "" {
						t.Errorf("process %q passes without a command", p.Name)
					}
				}
			}
			again, err := manifest.Parse(text, file)
			if diff := cmp.Diff(got, again); err != nil || diff != "" {
				t.Errorf("Parse() differs from itself: %v\n%s", err, diff)
			}
			return
		}
		if !reflect.ValueOf(got).IsZero() {
			t.Error("Parse() gives something beside an error")
		}
		var problems *manifest.Error
		if !errors.As(err, &problems) || len(problems.Problems) == 0 {
			t.Fatalf("Parse() = %v, want problems", err)
		}
		for _, p := range problems.Problems {
			if p.Line < 1 || p.Text == "" || strings.ContainsAny(p.String(), "\n\r\x1b\x00") {
				t.Errorf("problem %q is not one line of where and what", p)
			}
		}
	})
}

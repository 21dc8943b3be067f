package guard_test

import (
	"context"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pitwall/backend"
	"pitwall/backend/backendtest"
	"pitwall/backend/guard"
)

// audit keeps what it is told.
type audit struct {
	mu   sync.Mutex
	told []guard.Refusal
}

func (a *audit) Refused(_ context.Context, r guard.Refusal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.told = append(a.told, r)
}

func as(ctx context.Context, p backend.Principal) context.Context {
	return backend.WithAttribution(ctx, backend.Attribution{Principal: p, Door: "tcp", Address: "127.0.0.1:4242"})
}

// unreachable panics at every call, since it has no methods of its own.
type unreachable struct{ backend.Backend }

// TestEveryMethodIsGuarded calls each method of Backend, whatever there will
// be, as nobody and as somebody without rights.
func TestEveryMethodIsGuarded(t *testing.T) {
	g := guard.New(unreachable{}, guard.Owner(), nil)
	methods := reflect.TypeFor[backend.Backend]()
	for _, tt := range []struct {
		who  backend.Principal
		want backend.Code
	}{{backend.Principal{}, backend.Unauthenticated}, {backend.Principal{Name: "bo"}, backend.Denied}} {
		for n := range methods.NumMethod() {
			m := methods.Method(n)
			if m.Name == "Close" {
				continue
			}
			for _, args := range argumentsOf(t, m) {
				in := append([]reflect.Value{reflect.ValueOf(as(t.Context(), tt.who))}, args...)
				out := reflect.ValueOf(g).MethodByName(m.Name).Call(in)
				err, _ := out[len(out)-1].Interface().(error)
				if backend.CodeOf(err) != tt.want {
					t.Errorf("%s as %q = %v, want %s", m.Name, tt.who.Name, err, tt.want)
				}
			}
		}
	}
}

// argumentsOf returns the arguments behind the context: zero values, and every
// command for Do.
func argumentsOf(t *testing.T, m reflect.Method) [][]reflect.Value {
	t.Helper()
	if m.Type.NumIn() == 0 || m.Type.In(0) != reflect.TypeFor[context.Context]() {
		t.Fatalf("%s takes no context: who may call it?", m.Name)
	}
	var args []reflect.Value
	for n := 1; n < m.Type.NumIn(); n++ {
		switch in := m.Type.In(n); in {
		case reflect.TypeFor[backend.Command]():
			var all [][]reflect.Value
			for _, c := range backend.Commands() {
				all = append(all, []reflect.Value{reflect.ValueOf(c)})
			}
			return all
		case reflect.TypeFor[io.Reader]():
			args = append(args, reflect.ValueOf(strings.NewReader("")))
		default:
			args = append(args, reflect.Zero(in))
		}
	}
	return [][]reflect.Value{args}
}

// TestNothingIsEmbedded keeps a new method from going through by itself.
func TestNothingIsEmbedded(t *testing.T) {
	g := reflect.TypeFor[guard.Backend]()
	for n := range g.NumField() {
		if g.Field(n).Anonymous {
			t.Errorf("guard.Backend embeds %s", g.Field(n).Name)
		}
	}
}

func TestAnAdminMayAll(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backendtest.Fixture {
		fix := backendtest.NewFixture()
		fix.Backend = door{guard.New(fix.Backend, guard.Owner(), nil)}
		return fix
	})
}

func TestRefusalsSayWho(t *testing.T) {
	var a audit
	g := guard.New(backendtest.NewFake(), guard.Owner(), &a)
	_, err := g.Do(as(t.Context(), backend.Principal{Name: "bo"}), backend.Restart{App: "123"})
	if err == nil || err.Error() != "restart: bo may not restart" {
		t.Errorf("Do() = %v, want a sentence with who and what", err)
	}
	if len(a.told) != 1 || a.told[0].Op != "restart" || a.told[0].Need.Ref.ID != "123" || a.told[0].Count != 1 {
		t.Errorf("audit = %+v, want the refusal", a.told)
	}
}

func TestRepeatsAreMerged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a audit
		g := guard.New(backendtest.NewFake(), guard.Owner(), &a)
		knock := func(times int, port int) {
			for range times {
				ctx := backend.WithAttribution(t.Context(), backend.Attribution{
					Principal: backend.Principal{Name: "bo"}, Door: "tcp", Address: fmt.Sprintf("127.0.0.1:%d", port),
				})
				port++
				g.Apps(ctx, backend.AppQuery{})
			}
		}
		knock(100, 1000)
		if len(a.told) != 1 {
			t.Fatalf("100 refusals were told %d times, want once", len(a.told))
		}
		time.Sleep(2 * time.Minute)
		knock(3, 2000)
		g.Close()
		var counts []int
		for _, r := range a.told {
			counts = append(counts, r.Count)
		}
		if fmt.Sprint(counts) != "[1 99 1 2]" {
			t.Errorf("counts = %v, want 1 99 1 2", counts)
		}
	})
}

func TestManySourcesAreBounded(t *testing.T) {
	var a audit
	g := guard.New(backendtest.NewFake(), guard.Owner(), &a)
	const sources = 5000
	for n := range sources {
		for range 2 {
			g.Apps(as(t.Context(), backend.Principal{Name: fmt.Sprint("bo", n)}), backend.AppQuery{})
		}
	}
	g.Close()
	total := 0
	for _, r := range a.told {
		total += r.Count
	}
	if total != 2*sources {
		t.Errorf("%d refusals were told of, want %d", total, 2*sources)
	}
}

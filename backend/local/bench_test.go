package local_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"pitwall/backend"
	"pitwall/backend/local"
	"pitwall/backend/sqlite"
)

// BenchmarkOpen is what a cold start has to do before the first list: open a
// store with many apps and read it. The bound is 300 ms for the whole start.
func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		b.Run(fmt.Sprint(n, " apps"), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "state.db")
			fill(b, path, n)
			for b.Loop() {
				st, err := sqlite.Open(b.Context(), sqlite.Config{Path: path})
				if err != nil {
					b.Fatal(err)
				}
				be, err := local.New(b.Context(), local.Config{Store: st, Engine: newEngine()})
				if err != nil {
					b.Fatal(err)
				}
				list, err := be.Apps(b.Context(), backend.AppQuery{})
				if err != nil || len(list.Items) != n {
					b.Fatalf("Apps() = %d, %v", len(list.Items), err)
				}
				b.StopTimer()
				be.Close()
				st.Close()
				b.StartTimer()
			}
		})
	}
}

// fill stores stopped apps with an instance each.
func fill(b *testing.B, path string, n int) {
	st, err := sqlite.Open(b.Context(), sqlite.Config{Path: path})
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	err = st.Update(b.Context(), func(tx *sqlite.Tx) error {
		for i := range n {
			s := spec(fmt.Sprint("app-", i), 1, "ok")
			s.Scope = s.Scope.OrDefault()
			s.Env = map[string]string{"A": "1", "B": "2"}
			a := backend.App{ID: fmt.Sprintf("%024d", i), Name: s.Name, Scope: s.Scope, Spec: s, Desired: backend.DesiredStopped, State: backend.AppStopped}
			if err := tx.PutApp(sqlite.App{App: a}); err != nil {
				return err
			}
			in := backend.Instance{ID: s.Name + "-main-0-aaaaa", AppID: a.ID, App: a.Name, Process: "main", State: backend.InstanceStopped}
			if err := tx.PutInstance(sqlite.Instance{Instance: in, FirstRun: 1}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkBlock is a whole command: operation, event, audit, edge.
func BenchmarkBlock(b *testing.B) {
	st, err := sqlite.Open(b.Context(), sqlite.Config{Path: filepath.Join(b.TempDir(), "state.db")})
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	be, err := local.New(b.Context(), local.Config{Store: st, Engine: newEngine()})
	if err != nil {
		b.Fatal(err)
	}
	defer be.Close()
	r, err := be.Do(b.Context(), apply(spec("web", 1, "ok")))
	if err != nil {
		b.Fatal(err)
	}
	for open := true; open; time.Sleep(time.Millisecond) {
		list, err := be.Operations(context.Background(), backend.OperationQuery{IDs: []string{r.Operation.ID}})
		if err != nil {
			b.Fatal(err)
		}
		open = !list.Items[0].State.Ended()
	}
	for b.Loop() {
		if _, err := be.Do(b.Context(), backend.Block{App: r.Operation.Ref.ID}); err != nil {
			b.Fatal(err)
		}
	}
}

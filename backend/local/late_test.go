package local_test

import (
	"testing"

	"pitwall/backend"
)

// A stop that comes while the instances of an app are started, four side by
// side, must not let the rest of them start after it: one was started, and in
// its stead a fifth was under way with three others.
func TestStopEndsAStartUnderWay(t *testing.T) {
	w := newWorld(t)
	w.eng.starting = make(chan struct{})
	w.begin(apply(spec("web", 12, "ok")))
	<-w.eng.starting // the first is being started
	stop := w.begin(backend.Stop{App: w.app("web").ID})
	w.eventually("the app is to stop", func() bool { return w.app("web").Desired == backend.DesiredStopped })
	go func() {
		for {
			select {
			case <-w.eng.starting:
			case <-t.Context().Done():
				return
			}
		}
	}()
	if o := w.await(stop.ID); o.State != backend.OperationSucceeded {
		t.Errorf("stop = %s: %s", o.State, o.Error)
	}
	starts := len(w.eng.happened("start "))
	if starts > 5 {
		t.Errorf("the engine was asked to start %d of 12 instances, though a stop came after the first", starts)
	}
}

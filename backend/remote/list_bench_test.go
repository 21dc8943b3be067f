package remote_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"pitwall/api/native"
	"pitwall/backend"
	"pitwall/backend/backendtest"
	"pitwall/backend/remote"
)

// BenchmarkList10000 reads 10,000 instances over the link.
func BenchmarkList10000(b *testing.B) {
	f := backendtest.NewFake()
	f.AddApp(backend.App{Name: "web", Instances: 0})
	for n := range 10_000 {
		f.AddInstance(backend.Instance{Job: fmt.Sprint("j", n), Index: n})
	}
	mux := http.NewServeMux()
	native.New(native.Config{Backend: f}).Mount(mux)
	server := httptest.NewServer(mux)
	defer server.Close()
	c, err := remote.Dial(b.Context(), remote.Config{URL: server.URL})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	b.ReportAllocs()
	for b.Loop() {
		list, err := c.Instances(b.Context(), backend.InstanceQuery{})
		if err != nil || len(list.Items) != 10_000 {
			b.Fatal(len(list.Items), err)
		}
	}
}

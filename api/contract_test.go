package api_test

import (
	"context"
	"testing"
	"time"

	"pitwall/api"
	"pitwall/backend"
	"pitwall/backend/backendtest"
	"pitwall/backend/guard"
	"pitwall/backend/remote"
)

// through puts every layer before a fixture's backend: the guard, the doors,
// the protocol and the remote client.
func through(t *testing.T, connect func(tcp, socket string) remote.Config) backendtest.Fixture {
	fix := backendtest.NewFixture()
	cfg := connect(start(t, api.Config{Backend: guard.New(fix.Backend, guard.Owner(), nil)}))
	cfg.Backoff = func(int) time.Duration { return time.Millisecond }
	client, err := remote.Dial(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	fix.Backend, fix.Buffer = client, 600
	return fix
}

func TestContractAtTheTCPDoor(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backendtest.Fixture {
		return through(t, func(tcp, _ string) remote.Config {
			return remote.Config{URL: "http://" + tcp, Token: token}
		})
	})
}

func TestContractAtTheSocketDoor(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backendtest.Fixture {
		return through(t, func(_, socket string) remote.Config {
			return remote.Config{URL: "unix:" + socket}
		})
	})
}

func TestWrongTokenIsSaidOnce(t *testing.T) {
	fix := through(t, func(tcp, _ string) remote.Config {
		return remote.Config{URL: "http://" + tcp, Token: "wrong"}
	})
	b := fix.Backend
	_, appsErr := b.Apps(t.Context(), backend.AppQuery{})
	_, doErr := b.Do(t.Context(), backend.Block{App: fix.App})
	_, watchErr := b.Watch(t.Context(), backend.WatchQuery{})
	_, attachErr := b.Attach(t.Context(), backend.AttachSpec{Instance: fix.Instance, Command: fix.Echo})
	_, openErr := b.Open(t.Context(), backend.BlobRef{Kind: backend.BundleBlob, ID: "x"})
	for call, err := range map[string]error{"Apps": appsErr, "Do": doErr, "Watch": watchErr, "Attach": attachErr, "Open": openErr} {
		if backend.CodeOf(err) != backend.Unauthenticated {
			t.Errorf("%s() = %v, want unauthenticated", call, err)
		}
	}
}

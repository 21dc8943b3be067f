package wire_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"pitwall/backend"
	"pitwall/backend/wire"
)

func TestErrorsCrossTheWire(t *testing.T) {
	notFound := &backend.Error{
		Code: backend.NotFound, Op: "restart", Ref: backend.Ref{Kind: backend.KindApp, ID: "1", Name: "web"},
		Err: errors.New("there is no such app"),
	}
	tests := []struct {
		err  error
		want string // of Error()
		code backend.Code
	}{
		{notFound, "restart web: there is no such app", backend.NotFound},
		{fmt.Errorf("roll back: %w", notFound), "roll back: restart web: there is no such app", backend.NotFound},
		{&backend.Error{Code: backend.Denied}, "denied", backend.Denied},
		{errors.New("disk on fire"), "disk on fire", backend.Internal},
		{&backend.LaggedError{Missed: 3, From: 1, To: 3}, "3 items were skipped because the reader was slow", backend.Lagged},
	}
	for _, tt := range tests {
		body, err := json.Marshal(wire.ErrorBody{Error: wire.EncodeError(tt.err)})
		if err != nil {
			t.Fatal(err)
		}
		got := wire.DecodeErrorBody(wire.Status(tt.code), body)
		if got.Error() != tt.want || backend.CodeOf(got) != tt.code {
			t.Errorf("%v came as %v with code %s, want %q with %s", tt.err, got, backend.CodeOf(got), tt.want, tt.code)
		}
	}
	var lag *backend.LaggedError
	if err := wire.EncodeError(tests[4].err).Decode(); !errors.As(err, &lag) || *lag != (backend.LaggedError{Missed: 3, From: 1, To: 3}) {
		t.Errorf("Decode() = %#v, want the lag", err)
	}
}

func TestForeignAnswersAreNamed(t *testing.T) {
	err := wire.DecodeErrorBody(502, []byte("<html>Bad Gateway</html>"))
	if backend.CodeOf(err) != backend.Unavailable || !strings.Contains(err.Error(), "502") {
		t.Errorf("DecodeErrorBody() = %v, want unavailable naming 502", err)
	}
}

func TestEveryCodeHasItsStatus(t *testing.T) {
	for code, want := range map[backend.Code]int{
		backend.Invalid: 400, backend.Unauthenticated: 401, backend.Denied: 403, backend.NotFound: 404,
		backend.Conflict: 409, backend.Compacted: 410, backend.Exhausted: 507, backend.Unavailable: 503,
		backend.Unsupported: 501, backend.Internal: 500, backend.Timeout: 504,
	} {
		if got := wire.Status(code); got != want {
			t.Errorf("Status(%s) = %d, want %d", code, got, want)
		}
	}
}

func TestBlobPathsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ref := backend.BlobRef{
			Kind: backend.LogBlob, ID: rapid.StringN(1, 20, -1).Draw(t, "id"),
			Stream: backend.Stderr, Offset: rapid.Int64Min(0).Draw(t, "offset"), Length: rapid.Int64Min(0).Draw(t, "length"),
			FromTail: rapid.Bool().Draw(t, "tail"),
		}
		u, err := url.Parse(wire.BlobPath(ref))
		if err != nil {
			t.Fatalf("BlobPath(%+v) = %v", ref, err)
		}
		rest := strings.TrimPrefix(u.EscapedPath(), wire.BlobsPath+"/log/")
		id, err := url.PathUnescape(rest)
		if err != nil {
			t.Fatal(err)
		}
		got, err := wire.ParseBlob("log", id, u.Query())
		if err != nil || got != ref {
			t.Fatalf("ParseBlob(%s) = %+v, %v, want %+v", u, got, err, ref)
		}
	})
}

func TestOnceIsPlainInItsReplyAlone(t *testing.T) {
	r := backend.Result{Once: backend.NewSecret("s3cret")}
	reply, _ := json.Marshal(wire.EncodeResult(r))
	if !strings.Contains(string(reply), "s3cret") {
		t.Errorf("the reply %s does not show it", reply)
	}
	plain, _ := json.Marshal(r)
	if strings.Contains(string(plain), "s3cret") {
		t.Errorf("a result written elsewhere shows it: %s", plain)
	}
	var back wire.Result
	if err := json.Unmarshal(reply, &back); err != nil || back.Decode().Once.Reveal() != "s3cret" {
		t.Errorf("Decode() = %v, %v", back, err)
	}
}

func TestCutKeepsFramesSmall(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(0, wire.MaxOut+10), 1, 20).Draw(t, "sizes")
		items := make([]json.RawMessage, len(sizes))
		for n, size := range sizes {
			items[n] = make(json.RawMessage, size)
		}
		n := wire.Cut(items)
		if n < 1 || n > len(items) {
			t.Fatalf("Cut() = %d of %d", n, len(items))
		}
		total := 0
		for _, item := range items[:n] {
			total += len(item)
		}
		if n > 1 && total > wire.MaxOut {
			t.Fatalf("Cut() takes %d bytes", total)
		}
	})
}

func TestBadFramesAreInvalid(t *testing.T) {
	for _, message := range []string{
		``, `{`, `[]`, `{"type":"open"}`, `{"type":"open","feed":1,"kind":"cheese"}`, `{"type":"open","feed":1,"kind":"watch","credit":-1}`,
		`{"type":"credit","feed":1}`, `{"type":"dance","feed":1}`, `{"type":"lagged","feed":1}`, `{"type":"close","feed":-1}`,
	} {
		if _, err := wire.DecodeFrame([]byte(message)); backend.CodeOf(err) != backend.Invalid {
			t.Errorf("DecodeFrame(%s) = %v, want invalid", message, err)
		}
	}
}

func FuzzDecodeFrame(f *testing.F) {
	f.Add([]byte(`{"type":"open","feed":1,"kind":"logs","query":{"follow":true},"credit":8}`))
	f.Add([]byte(`{"type":"items","feed":2,"items":[1,{"a":"b"}]}`))
	f.Add([]byte(`{"type":"end","feed":2,"error":{"code":"compacted","message":"list again"}}`))
	f.Fuzz(func(t *testing.T, message []byte) {
		frame, err := wire.DecodeFrame(message)
		if err != nil {
			if backend.CodeOf(err) != backend.Invalid {
				t.Fatalf("DecodeFrame() = %v, want invalid", err)
			}
			return
		}
		again, err := frame.Encode()
		if err != nil {
			t.Fatalf("Encode() = %v", err)
		}
		back, err := wire.DecodeFrame(again)
		if err != nil {
			t.Fatalf("DecodeFrame(Encode()) = %v", err)
		}
		third, _ := back.Encode()
		if diff := cmp.Diff(string(again), string(third)); diff != "" {
			t.Fatalf("a frame does not keep:\n%s", diff)
		}
	})
}

func FuzzDecodeControl(f *testing.F) {
	f.Add([]byte(`{"type":"resize","size":{"columns":80,"rows":24}}`))
	f.Add([]byte(`{"type":"exit","code":3}`))
	f.Fuzz(func(t *testing.T, message []byte) {
		c, err := wire.DecodeControl(message)
		if err == nil && c.Type == wire.Resize && (c.Size.Columns < 1 || c.Size.Rows < 1) {
			t.Fatalf("DecodeControl(%s) = %+v", message, c)
		}
		if err != nil && backend.CodeOf(err) != backend.Invalid {
			t.Fatalf("DecodeControl() = %v, want invalid", err)
		}
	})
}

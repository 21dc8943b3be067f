package backendtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"pitwall/backend"
)

// Attach implements [backend.Backend]. It knows one program: "echo" gives back
// its input, says "size COLUMNSxROWS" at each resize, and ends with its first
// argument as exit status (0 without one) when its input ends.
func (f *Fake) Attach(ctx context.Context, s backend.AttachSpec) (backend.Conn, error) {
	if err := f.enter(ctx, "attach"); err != nil {
		return nil, err
	}
	defer f.mu.Unlock()
	i := f.findInstance(s.Instance)
	if i == nil {
		return nil, notFound("attach", backend.Ref{Kind: backend.KindInstance, ID: s.Instance})
	}
	if !i.State.Live() {
		return nil, backend.Errorf(backend.Conflict, "%s is not running", i.ID)
	}
	if len(s.Command) == 0 || s.Command[0] != "echo" {
		return nil, backend.Errorf(backend.Invalid, "there is no program %q", strings.Join(s.Command, " "))
	}
	e := &echo{done: make(chan struct{})}
	e.more = sync.NewCond(&e.mu)
	if len(s.Command) > 1 {
		code, err := strconv.Atoi(s.Command[1])
		if err != nil {
			return nil, backend.Errorf(backend.Invalid, "%q is not an exit status", s.Command[1])
		}
		e.code = code
	}
	return e, nil
}

// echo is the one program that a Fake can run.
type echo struct {
	done chan struct{} // closed when it has ended

	mu    sync.Mutex
	more  *sync.Cond
	out   bytes.Buffer
	ended bool
	code  int
}

func (e *echo) Read(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for e.out.Len() == 0 {
		if e.ended {
			return 0, io.EOF
		}
		e.more.Wait()
	}
	return e.out.Read(p)
}

func (e *echo) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended {
		return 0, backend.Errorf(backend.Conflict, "the command has ended")
	}
	e.more.Broadcast()
	return e.out.Write(p)
}

func (e *echo) Resize(s backend.Size) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	fmt.Fprintf(&e.out, "size %dx%d\n", s.Columns, s.Rows)
	e.more.Broadcast()
	return nil
}

func (e *echo) CloseWrite() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.ended {
		e.ended = true
		close(e.done)
		e.more.Broadcast()
	}
	return nil
}

func (e *echo) Close() error {
	if err := e.CloseWrite(); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.out.Reset()
	return nil
}

func (e *echo) Exit(ctx context.Context) (int, error) {
	select {
	case <-e.done:
		return e.code, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Open implements [backend.Backend].
func (f *Fake) Open(ctx context.Context, ref backend.BlobRef) (io.ReadCloser, error) {
	if err := f.enter(ctx, "open"); err != nil {
		return nil, err
	}
	defer f.mu.Unlock()
	var all []byte
	switch ref.Kind {
	case backend.BundleBlob, backend.OutputBlob:
		b, ok := f.blobs[ref.ID]
		if !ok {
			return nil, backend.Errorf(backend.NotFound, "there is no %s %q", ref.Kind, ref.ID)
		}
		all = b
	case backend.LogBlob:
		if f.findInstance(ref.ID) == nil {
			return nil, notFound("open", backend.Ref{Kind: backend.KindInstance, ID: ref.ID})
		}
		for _, e := range f.log {
			if e.Instance == ref.ID && e.Stream == ref.Stream && e.Gap == nil && e.Divider == nil {
				all = append(append(all, e.Text...), '\n')
			}
		}
	default:
		return nil, backend.Errorf(backend.Invalid, "%q is not a kind of blob", ref.Kind)
	}
	part, err := cut(all, ref)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(part)), nil
}

// cut returns the part of all that ref asks for.
func cut(all []byte, ref backend.BlobRef) ([]byte, error) {
	if ref.Offset < 0 || ref.Length < 0 {
		return nil, backend.Errorf(backend.Invalid, "an offset or a length is negative")
	}
	from := min(ref.Offset, int64(len(all)))
	if ref.FromTail {
		from = int64(len(all)) - from
	}
	to := int64(len(all))
	if ref.Length > 0 {
		to = min(to, from+ref.Length)
	}
	return all[from:to], nil
}

// Put implements [backend.Backend].
func (f *Fake) Put(ctx context.Context, r io.Reader) (backend.BlobRef, error) {
	if err := f.enter(ctx, "put"); err != nil {
		return backend.BlobRef{}, err
	}
	f.mu.Unlock()
	b, err := io.ReadAll(r)
	if err != nil {
		return backend.BlobRef{}, fmt.Errorf("read bundle: %w", err)
	}
	sum := sha256.Sum256(b)
	id := "sha256:" + hex.EncodeToString(sum[:])
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blobs[id] = b
	return backend.BlobRef{Kind: backend.BundleBlob, ID: id}, nil
}

// SetOutput stores the output of an operation, as [backend.OutputBlob].
func (f *Fake) SetOutput(operation string, output []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blobs[operation] = bytes.Clone(output)
}

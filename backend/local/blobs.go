package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"pitwall/backend"
)

// maxBundle bounds what Put takes.
const maxBundle = 1 << 30

var bundleID = regexp.MustCompile(`^sha256:([0-9a-f]{64})$`)

// Attach runs a command beside an instance.
func (b *Backend) Attach(ctx context.Context, s backend.AttachSpec) (backend.Conn, error) {
	if err := b.enter(ctx); err != nil {
		return nil, err
	}
	b.mu.RLock()
	m, ok := b.instances[s.Instance]
	b.mu.RUnlock()
	if !ok {
		return nil, backend.Errorf(backend.NotFound, "there is no instance %s", s.Instance)
	}
	if !m.Instance.State.Live() {
		return nil, backend.Errorf(backend.Conflict, "%s does not run: it is %s", s.Instance, m.Instance.State)
	}
	return b.eng.Attach(ctx, s)
}

// Open reads stored bytes.
func (b *Backend) Open(ctx context.Context, ref backend.BlobRef) (io.ReadCloser, error) {
	if err := b.enter(ctx); err != nil {
		return nil, err
	}
	switch ref.Kind {
	case backend.LogBlob:
		if b.cfg.Logs == nil {
			return nil, errNoLogs()
		}
		return b.cfg.Logs.Open(ctx, ref)
	case backend.OutputBlob:
		r, err := b.operationOf(ref.ID)
		if err != nil {
			return nil, err
		}
		return io.NopCloser(strings.NewReader(output(r.Op))), nil
	case backend.BundleBlob:
		return b.openBundle(ref)
	}
	return nil, backend.Errorf(backend.Invalid, "%q is not a kind of blob", ref.Kind)
}

// output writes an operation's steps as text.
func output(o backend.Operation) string {
	var w strings.Builder
	fmt.Fprintf(&w, "%s %s by %s: %s\n", o.Kind, o.Target, o.Author, o.State)
	for _, s := range o.Steps {
		at := s.Ended
		if at.IsZero() {
			at = s.Started
		}
		fmt.Fprintf(&w, "%s %s: %s", at.UTC().Format(time.RFC3339), s.Name, s.State)
		if s.Detail != "" {
			fmt.Fprintf(&w, " (%s)", s.Detail)
		}
		w.WriteByte('\n')
	}
	if o.Error != "" {
		fmt.Fprintf(&w, "%s\n", o.Error)
	}
	return w.String()
}

func (b *Backend) openBundle(ref backend.BlobRef) (io.ReadCloser, error) {
	m := bundleID.FindStringSubmatch(ref.ID)
	if m == nil {
		return nil, backend.Errorf(backend.Invalid, "%q is not the name of a bundle", ref.ID)
	}
	if b.cfg.Bundles == "" {
		return nil, errNoBundles()
	}
	f, err := os.Open(filepath.Join(b.cfg.Bundles, m[1]))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, backend.Errorf(backend.NotFound, "there is no bundle %s", ref.ID)
	}
	if err != nil {
		return nil, fmt.Errorf("open bundle: %w", err)
	}
	if ref.Offset > 0 {
		if _, err := f.Seek(ref.Offset, io.SeekStart); err != nil {
			f.Close()
			return nil, fmt.Errorf("open bundle: %w", err)
		}
	}
	if ref.Length > 0 {
		return struct {
			io.Reader
			io.Closer
		}{io.LimitReader(f, ref.Length), f}, nil
	}
	return f, nil
}

func errNoBundles() error {
	return backend.Errorf(backend.Unsupported, "this server stores no bundles")
}

// Put stores a bundle under its digest. The same bytes are stored once.
func (b *Backend) Put(ctx context.Context, r io.Reader) (backend.BlobRef, error) {
	if err := b.enter(ctx); err != nil {
		return backend.BlobRef{}, err
	}
	if b.cfg.Bundles == "" {
		return backend.BlobRef{}, errNoBundles()
	}
	if err := os.MkdirAll(b.cfg.Bundles, 0o700); err != nil {
		return backend.BlobRef{}, fmt.Errorf("store bundle: %w", err)
	}
	f, err := os.CreateTemp(b.cfg.Bundles, "incoming-*")
	if err != nil {
		return backend.BlobRef{}, fmt.Errorf("store bundle: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, sum), io.LimitReader(bound{ctx, r}, maxBundle+1))
	if err != nil {
		return backend.BlobRef{}, fmt.Errorf("store bundle: %w", err)
	}
	if n > maxBundle {
		return backend.BlobRef{}, backend.Errorf(backend.Exhausted, "a bundle has at most %s", size(maxBundle))
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return backend.BlobRef{}, fmt.Errorf("store bundle: %w", err)
	}
	digest := hex.EncodeToString(sum.Sum(nil))
	if err := os.Rename(f.Name(), filepath.Join(b.cfg.Bundles, digest)); err != nil {
		return backend.BlobRef{}, fmt.Errorf("store bundle: %w", err)
	}
	return backend.BlobRef{Kind: backend.BundleBlob, ID: "sha256:" + digest, Length: n}, nil
}

// bound reads until its context ends.
type bound struct {
	ctx context.Context
	r   io.Reader
}

func (b bound) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	return b.r.Read(p)
}

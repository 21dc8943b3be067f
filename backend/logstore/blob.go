package logstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"pitwall/backend"
	"pitwall/backend/logstore/segment"
)

// blobWindow is how much of a stream is read at once: each read looks up its
// segments anew, which this makes rare.
const blobWindow = 256 << 10

// Open reads the raw bytes of one stream of an instance, as its program wrote
// them, over all segments. Offset 0 means the oldest byte kept, an offset that
// retention took is Compacted. It ends where the log ended when it was opened.
func (s *Store) Open(ctx context.Context, ref backend.BlobRef) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var stream segment.Stream
	switch ref.Stream {
	case backend.Stdout, "":
		stream = segment.Out
	case backend.Stderr:
		stream = segment.Err
	default:
		return nil, backend.Errorf(backend.Invalid, "%q is not a stream: use stdout or stderr", ref.Stream)
	}
	if ref.Kind != backend.LogBlob || ref.Offset < 0 || ref.Length < 0 {
		return nil, backend.Errorf(backend.Invalid, "a log is read with kind log and an offset and length that are not negative")
	}
	s.mu.Lock()
	in := s.instances[ref.ID]
	s.mu.Unlock()
	if in == nil {
		return nil, backend.Errorf(backend.NotFound, "there is no instance %q with a log", ref.ID)
	}
	dir, err := segment.OpenDir(in.source().Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return io.NopCloser(eofReader{}), nil
	}
	if err != nil {
		return nil, err
	}
	bounds, err := dir.Bounds()
	if err != nil {
		dir.Close()
		return nil, fmt.Errorf("open log of %s: %w", ref.ID, err)
	}
	from, to := bounds.Base[stream], bounds.Bytes[stream]
	switch {
	case ref.FromTail:
		from = max(from, to-ref.Offset)
	case ref.Offset > 0 && ref.Offset < from:
		dir.Close()
		return nil, backend.Errorf(backend.Compacted, "the log of %s begins at byte %d, what came before is no longer kept", ref.ID, from)
	case ref.Offset > 0:
		from = ref.Offset
	}
	if ref.Length > 0 && from+ref.Length < to {
		to = from + ref.Length
	}
	return &blob{ctx: ctx, dir: dir, stream: stream, at: from, end: to}, nil
}

type eofReader struct{}

func (eofReader) Read([]byte) (int, error) { return 0, io.EOF }

// blob reads a range of one stream.
type blob struct {
	ctx    context.Context
	dir    *segment.Dir
	stream segment.Stream
	at     int64
	end    int64
	buf    []byte
	rest   []byte
	once   sync.Once
	closed error
}

// Read gives the bytes of the range.
func (b *blob) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	if len(b.rest) == 0 {
		if b.at >= b.end {
			return 0, io.EOF
		}
		if b.buf == nil {
			b.buf = make([]byte, min(blobWindow, b.end-b.at))
		}
		want := b.buf[:min(int64(len(b.buf)), b.end-b.at)]
		n, err := b.dir.ReadStreamAt(b.stream, want, b.at)
		if n == 0 {
			if errors.Is(err, fs.ErrNotExist) {
				err = backend.Errorf(backend.Compacted, "the log from byte %d is no longer kept", b.at)
			}
			if err == nil {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		b.at += int64(n)
		b.rest = want[:n]
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// Close closes the log.
func (b *blob) Close() error {
	b.once.Do(func() { b.closed = b.dir.Close() })
	return b.closed
}

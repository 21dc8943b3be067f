package native

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"pitwall/api/httpx"
	"pitwall/backend"
	"pitwall/backend/wire"
)

// open serves stored bytes.
func (h *Handler) open(w http.ResponseWriter, r *http.Request) {
	ref, err := wire.ParseBlob(r.PathValue("kind"), r.PathValue("id"), r.URL.Query())
	if err != nil {
		WriteError(w, err)
		return
	}
	first, last, ranged := byteRange(r, ref)
	if ranged {
		ref.Offset, ref.Length = first, last-first+1
	}
	blob, err := h.cfg.Backend.Open(r.Context(), ref)
	if err != nil {
		WriteError(w, err)
		return
	}
	defer blob.Close()
	head := w.Header()
	head.Set("Content-Type", "application/octet-stream")
	head.Set("Content-Disposition", "attachment")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Cache-Control", "no-store")
	head.Set("Accept-Ranges", "bytes")
	if ranged {
		writeRange(w, blob, first, ref.Length)
		return
	}
	head.Set("Trailer", wire.ErrorTrailer)
	w.WriteHeader(http.StatusOK)
	if err := copyFlush(w, blob); err != nil {
		text, _ := json.Marshal(wire.EncodeError(err))
		head.Set(wire.ErrorTrailer, string(text))
	}
}

// copyFlush copies with one buffer and lets the client have each part at once.
// It returns why the blob could not be read; a client that went away is no
// such reason.
func copyFlush(w http.ResponseWriter, blob io.Reader) error {
	flush := http.NewResponseController(w)
	buf := make([]byte, 64<<10)
	for {
		n, err := blob.Read(buf)
		if n > 0 {
			if _, werr := w.Write(buf[:n]); werr != nil {
				return nil
			}
			if n < len(buf) {
				flush.Flush()
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// byteRange reads "Range: bytes=A-B" or "bytes=A-". Every other range is
// passed over, as is one beside an offset or a length, and the whole is sent.
func byteRange(r *http.Request, ref backend.BlobRef) (first, last int64, ok bool) {
	text, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	if !ok || ref.Offset != 0 || ref.Length != 0 || ref.FromTail {
		return 0, 0, false
	}
	from, to, ok := strings.Cut(text, "-")
	if !ok {
		return 0, 0, false
	}
	first, err := strconv.ParseInt(from, 10, 64)
	if err != nil || first < 0 {
		return 0, 0, false
	}
	last = first + wire.MaxRange - 1
	if to != "" {
		asked, err := strconv.ParseInt(to, 10, 64)
		if err != nil || asked < first {
			return 0, 0, false
		}
		last = min(last, asked)
	}
	return first, last, true
}

// writeRange sends what there is of the range. How long the whole blob is may
// not be known, so the range is read before its header is written.
func writeRange(w http.ResponseWriter, blob io.Reader, first, length int64) {
	part, err := io.ReadAll(io.LimitReader(blob, length))
	if err != nil {
		WriteError(w, err)
		return
	}
	if len(part) == 0 {
		w.Header().Set("Content-Range", "bytes */*")
		w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		return
	}
	w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/*", first, first+int64(len(part))-1))
	w.Header().Set("Content-Length", strconv.Itoa(len(part)))
	w.WriteHeader(http.StatusPartialContent)
	w.Write(part)
}

// put serves a bundle in.
func (h *Handler) put(w http.ResponseWriter, r *http.Request) {
	ref, err := h.cfg.Backend.Put(r.Context(), http.MaxBytesReader(w, r.Body, h.cfg.MaxBundle))
	var big *http.MaxBytesError
	if errors.As(err, &big) {
		err = backend.Errorf(backend.Exhausted, "the bundle is larger than %d bytes", big.Limit)
	}
	if err != nil {
		WriteError(w, err)
		return
	}
	httpx.WriteJSON(w, http.StatusOK, ref)
}

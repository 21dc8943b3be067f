package backendtest

import (
	"io"
	"strings"

	"pitwall/backend"
)

func (s *suite) attach() {
	if s.Echo == nil {
		s.Skip("this implementation cannot attach")
	}
	conn, err := s.Backend.Attach(s.ctx, backend.AttachSpec{Instance: s.Instance, Command: s.Echo})
	if err != nil {
		s.Fatalf("Attach() = %v", err)
	}
	defer conn.Close()
	want := strings.Repeat("hello, \x00 world\xff\n", 10_000)
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(conn, want)
		if err == nil {
			err = conn.CloseWrite()
		}
		sent <- err
	}()
	got, err := io.ReadAll(conn)
	if err != nil || string(got) != want {
		s.Errorf("ReadAll() = %d bytes, %v, want the %d that were written", len(got), err, len(want))
	}
	if err := <-sent; err != nil {
		s.Errorf("Write() = %v", err)
	}
	if code, err := conn.Exit(s.ctx); err != nil || code != 3 {
		s.Errorf("Exit() = %d, %v, want 3", code, err)
	}
}

func (s *suite) resize() {
	if s.Sizes == nil {
		s.Skip("this implementation cannot resize")
	}
	spec := backend.AttachSpec{Instance: s.Instance, Command: s.Sizes, TTY: true, Size: backend.Size{Columns: 80, Rows: 24}}
	conn, err := s.Backend.Attach(s.ctx, spec)
	if err != nil {
		s.Fatalf("Attach() = %v", err)
	}
	defer conn.Close()
	if err := conn.Resize(backend.Size{Columns: 100, Rows: 40}); err != nil {
		s.Fatalf("Resize() = %v", err)
	}
	var seen strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(seen.String(), "100x40") {
		n, err := conn.Read(buf)
		seen.Write(buf[:n])
		if err != nil {
			s.Fatalf("Read() after %q = %v, want the new size", seen.String(), err)
		}
	}
}

func (s *suite) attachClose() {
	if s.Echo == nil {
		s.Skip("this implementation cannot attach")
	}
	conn, err := s.Backend.Attach(s.ctx, backend.AttachSpec{Instance: s.Instance, Command: s.Echo})
	if err != nil {
		s.Fatalf("Attach() = %v", err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := io.ReadAll(conn)
		ended <- err
	}()
	if err := conn.Close(); err != nil {
		s.Errorf("Close() = %v", err)
	}
	<-ended // Close wakes Read, with an error or without.
}

package api

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"pitwall/backend/backendtest"
)

// nobody is a user that the server does not run as.
const nobody = 65534

// TestAnotherUserIsRefused opens the socket as another user and reads the
// reply: the kernel's word counts, not what the request says.
func TestAnotherUserIsRefused(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can call as another user")
	}
	// An abstract address has no folder that the other user could not enter.
	l, err := net.Listen("unix", fmt.Sprintf("@pitwall-test-%d", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Handler:     New(Config{Backend: backendtest.NewFake(), Token: "s3cret", Log: slog.New(slog.DiscardHandler)}),
		ConnContext: ConnContext,
	}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })

	for _, uid := range []int{nobody, 0} {
		want := map[int]int{nobody: http.StatusForbidden, 0: http.StatusOK}[uid]
		conn, err := dialAs(uid, l.Addr().String())
		if err != nil {
			t.Fatalf("dial as %d: %v", uid, err)
		}
		fmt.Fprint(conn, "GET /pitwall/v1/apps HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s3cret\r\n\r\n")
		reply, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		reply.Body.Close()
		conn.Close()
		if reply.StatusCode != want {
			t.Errorf("as uid %d = %d, want %d", uid, reply.StatusCode, want)
		}
	}
}

// dialAs connects on a thread of its own that has another effective user, and
// ends with its goroutine.
func dialAs(uid int, address string) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // Never unlocked, so that the thread ends.
		keep := ^uintptr(0)
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, keep, uintptr(uid), keep); errno != 0 {
			done <- result{nil, errno}
			return
		}
		conn, err := net.Dial("unix", address)
		done <- result{conn, err}
	}()
	r := <-done
	return r.conn, r.err
}

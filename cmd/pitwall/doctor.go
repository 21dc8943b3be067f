package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"pitwall/backend"
	"pitwall/backend/engine/process"
	"pitwall/backend/proxy"
)

// finding is one thing that doctor looked at.
type finding struct {
	Name   string `json:"name"`
	State  string `json:"state"` // ok, warning, problem
	Detail string `json:"detail"`
	Do     string `json:"do,omitempty"` // what to do about it
}

func (c *cli) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Check this machine and say what to do",
		Long: "Checks the state folder, the ports, the terminal, cgroups and limits. Exits with 1 when there is a problem.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), 5*time.Second)
			defer cancel()
			s, err := c.stateFolder()
			if err != nil {
				return err
			}
			found := c.examine(ctx, s)
			if err := c.printFindings(found); err != nil {
				return err
			}
			for _, f := range found {
				if f.State == "problem" {
					return silent{errors.New("there are problems")}
				}
			}
			return nil
		},
	}
}

func (c *cli) examine(ctx context.Context, s stateFolder) []finding {
	found := []finding{examineFolder(s), examineDisk(s)}
	found = append(found, c.examineServer(ctx, s)...)
	found = append(found, examineEdge(s), c.examineTerminal())
	return append(append(found, examineEngine()...), examineFiles())
}

func (c *cli) printFindings(found []finding) error {
	if c.output != "table" && c.output != "wide" {
		return printList(c, found, func(f finding) string { return f.Name }, nil)
	}
	for _, f := range found {
		mark := map[string]string{"ok": "✓", "warning": "!", "problem": "✗"}[f.State]
		c.println(fmt.Sprintf("%s %-13s %s", mark, f.Name, f.Detail))
		if f.Do != "" {
			c.println(fmt.Sprintf("  %-13s → %s", "", f.Do))
		}
	}
	return nil
}

func examineFolder(s stateFolder) finding {
	f := finding{Name: "state folder", State: "ok", Detail: s.path}
	st, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		f.Detail += " (made when a server starts)"
		return f
	}
	if err != nil || !st.IsDir() {
		return finding{f.Name, "problem", s.path + " is not a folder that can be read", "give --state another folder"}
	}
	if kind := networkFilesystem(s.path); kind != "" {
		return finding{f.Name, "problem", s.path + " is on " + kind, "give --state a folder on a local disk"}
	}
	if st.Mode().Perm()&0o077 != 0 {
		return finding{f.Name, "warning", fmt.Sprintf("%s can be entered by others (mode %o)", s.path, st.Mode().Perm()), "chmod 700 " + s.path}
	}
	if err := syscall.Access(s.path, 2); err != nil {
		return finding{f.Name, "problem", s.path + " cannot be written", "chown it to yourself or give --state another folder"}
	}
	return f
}

// leastDisk is two apps' default log retention.
const leastDisk = 512 << 20

func examineDisk(s stateFolder) finding {
	dir := s.path
	for {
		var st syscall.Statfs_t
		err := syscall.Statfs(dir, &st)
		if err == nil {
			free := int64(st.Bavail) * int64(st.Bsize)
			if free < leastDisk {
				return finding{"disk", "warning", size(free) + " free for logs and state", "make room: below that, logs degrade with gaps"}
			}
			return finding{"disk", "ok", size(free) + " free for logs and state", ""}
		}
		if parent := filepath.Dir(dir); parent != dir {
			dir = parent
			continue
		}
		return finding{"disk", "warning", "free space is not known: " + err.Error(), ""}
	}
}

func (c *cli) examineServer(ctx context.Context, s stateFolder) []finding {
	if c.server == "" && !s.owned() {
		return []finding{{"server", "ok", "none runs; one starts with the console", ""}}
	}
	b, err := c.attach(ctx)
	if err != nil || b == nil {
		return []finding{{"server", "problem", fmt.Sprint("cannot be reached: ", err), c.whenSilent(s)}}
	}
	defer b.Close()
	nodes, err := b.Nodes(ctx, backend.NodeQuery{})
	if err != nil {
		return []finding{{"server", "problem", "does not answer: " + err.Error(), c.whenSilent(s)}}
	}
	var found []finding
	for _, n := range nodes.Items {
		f := finding{"server", "ok", fmt.Sprintf("%s answers at %s, %d instances", n.Version, strings.Join(n.Addresses, " "), n.Instances), ""}
		if n.Version != "" && n.Version != version() {
			f.State, f.Do = "warning", "this is "+version()+": run pitwall serve to take over"
		}
		found = append(found, f)
		if n.State != "ready" && n.Reason != "" {
			found = append(found, finding{"node " + n.Name, "warning", n.Reason, ""})
		}
	}
	return found
}

// whenSilent says where to look when a server does not answer.
func (c *cli) whenSilent(s stateFolder) string {
	if c.server != "" {
		return "check --server and PITWALL_SERVER"
	}
	return "look into " + s.file(serverLog)
}

func examineEdge(s stateFolder) finding {
	if s.owned() {
		return finding{"edge port", "ok", "held by the running server as routes need it", ""}
	}
	l, err := net.Listen("tcp", proxy.DefaultHTTPAddr)
	if err != nil {
		return finding{"edge port", "warning", proxy.DefaultHTTPAddr + " is taken by another program", "serve with --http HOST:PORT, or end that program"}
	}
	l.Close()
	return finding{"edge port", "ok", proxy.DefaultHTTPAddr + " is free for HTTP routes", ""}
}

func (c *cli) examineTerminal() finding {
	term, lang := c.env("TERM"), firstSet(c.env("LC_ALL"), c.env("LC_CTYPE"), c.env("LANG"))
	switch {
	case !c.terminal:
		return finding{"terminal", "ok", "none here; commands print plain text", ""}
	case term == "" || term == "dumb":
		return finding{"terminal", "problem", fmt.Sprintf("TERM is %q, the console cannot draw", term), "set TERM, for example to xterm-256color"}
	case !strings.Contains(strings.ToLower(lang), "utf"):
		return finding{"terminal", "warning", fmt.Sprintf("%s, and the locale %q is not UTF-8: signs are drawn in ASCII", term, lang), "set LANG to C.UTF-8"}
	}
	sz := c.size()
	f := finding{"terminal", "ok", fmt.Sprintf("%s, %d×%d, %s", term, sz.Columns, sz.Rows, lang), ""}
	if sz.Columns < 40 || sz.Rows < 10 {
		f.State, f.Do = "warning", "the console wants 40×10 cells at least, 80×24 to be comfortable"
	}
	return f
}

func firstSet(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}

// examineEngine looks at what the process engine can do here. Its notes say
// what it cannot, and begin with control groups where there are none.
func examineEngine() []finding {
	d := process.Describe()
	found := []finding{{"limits", "ok", "cgroup " + d.Cgroup + " is writable: memory and cpu limits hold", ""}}
	notes := d.Notes
	if d.Cgroup == "none" {
		found[0] = finding{
			"limits", "warning", "no cgroup is writable: memory is watched, cpu is not limited",
			"run the server as root, or with a cgroup of its own (systemd-run --user --scope -p Delegate=yes)",
		}
		if len(notes) > 0 {
			found[0].Detail, notes = notes[0], notes[1:]
		}
	}
	for _, note := range notes {
		if !strings.Contains(note, "ulimit") { // see examineFiles
			found = append(found, finding{"engine", "warning", note, ""})
		}
	}
	return found
}

// filesPerInstance is what the server holds open for each: two pipes, a
// socket and a process.
const filesPerInstance = 4

func examineFiles() finding {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return finding{"open files", "warning", "the limit is not known: " + err.Error(), ""}
	}
	f := finding{"open files", "ok", fmt.Sprintf("limit %d, enough for about %d instances", r.Max, r.Max/filesPerInstance), ""}
	if r.Max < 4096 {
		f.State, f.Do = "warning", "raise it: ulimit -n 65536"
	}
	return f
}

// Package uitest drives a console by hand in a test: it presses keys, runs the
// commands that Update returns, and looks at the screen. Inside
// [testing/synctest], where the Fake must be made as well, nothing depends on how
// quick the machine is:
//
//	synctest.Test(t, func(t *testing.T) {
//		f := backendtest.NewFake()
//		f.AddApp(backend.App{Name: "web"})
//		d := uitest.New(t, ui.Options{Backend: f, Views: []ui.Spec{apps.Spec()}}, 80, 24)
//		d.Press("down", "R", "y")
//		d.Golden()
//	})
package uitest

import (
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/exp/golden"

	"pitwall/backend/backendtest"
	"pitwall/ui"
)

// Driver is a console under test. It must be used inside synctest.Test.
type Driver struct {
	t     testing.TB
	shell *ui.Shell
	msgs  chan tea.Msg
	done  chan struct{}
	quit  bool
	views int
	clip  string
}

// keyPause is the time between two keys: that of a quick person, and longer
// than a dialog's guard against a burst.
const keyPause = 50 * time.Millisecond

// New starts a console on a screen and settles it. Where the options have no
// clock it begins at the Fake's epoch and goes with the bubble's time. The
// theme is the dark one unless the options name another.
func New(t testing.TB, o ui.Options, width, height int) *Driver {
	t.Helper()
	if o.Now == nil {
		epoch, err := time.Parse(time.RFC3339, backendtest.Epoch)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		o.Now = func() time.Time { return epoch.Add(time.Since(begin)) }
	}
	if o.Theme == "" {
		o.Theme = "dark"
	}
	s, err := ui.New(t.Context(), o)
	if err != nil {
		t.Fatalf("ui.New() = %v", err)
	}
	d := &Driver{t: t, shell: s, msgs: make(chan tea.Msg), done: make(chan struct{})}
	t.Cleanup(d.Close)
	d.run(s.Init())
	d.Send(tea.WindowSizeMsg{Width: width, Height: height})
	return d
}

// Close ends the console. It is called at the end of the test as well.
func (d *Driver) Close() {
	select {
	case <-d.done:
	default:
		close(d.done)
		d.shell.Close()
		time.Sleep(longestTick)
	}
}

// longestTick lets the timers of commands run out, since a bubble must end
// empty. In a bubble it takes no time.
const longestTick = 24 * time.Hour

// run runs a command beside the test; what it returns is a message.
func (d *Driver) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	go func() {
		d.deliver(cmd())
	}()
}

func (d *Driver) deliver(msg tea.Msg) {
	if msg == nil {
		return
	}
	select {
	case d.msgs <- msg:
	case <-d.done:
	}
}

// Send gives the console a message and settles it.
func (d *Driver) Send(msg tea.Msg) {
	d.t.Helper()
	d.update(msg)
	d.Settle()
}

func (d *Driver) update(msg tea.Msg) {
	switch msg := msg.(type) {
	case tea.BatchMsg:
		for _, c := range msg {
			d.run(c)
		}
		return
	case tea.QuitMsg:
		d.quit = true
		return
	}
	if cmds, ok := sequence(msg); ok {
		go func() {
			for _, c := range cmds {
				if c != nil {
					d.deliver(c())
				}
			}
		}()
		return
	}
	if strings.Contains(reflect.TypeOf(msg).String(), "setClipboardMsg") {
		d.clip = reflect.ValueOf(msg).String()
	}
	_, cmd := d.shell.Update(msg)
	d.views++
	d.shell.View()
	d.run(cmd)
}

// sequence unpacks what tea.Sequence makes, whose type is not exported.
func sequence(msg tea.Msg) ([]tea.Cmd, bool) {
	v := reflect.ValueOf(msg)
	if v.Kind() != reflect.Slice || v.Type().Elem() != reflect.TypeFor[tea.Cmd]() {
		return nil, false
	}
	cmds := make([]tea.Cmd, v.Len())
	for i := range cmds {
		cmds[i], _ = v.Index(i).Interface().(tea.Cmd)
	}
	return cmds, true
}

// maxSettle bounds a console that never rests.
const maxSettle = 10_000

// Settle runs everything that does not wait for time to pass.
func (d *Driver) Settle() {
	d.t.Helper()
	for range maxSettle {
		synctest.Wait()
		select {
		case msg := <-d.msgs:
			d.update(msg)
		default:
			return
		}
	}
	d.t.Fatal("the console does not come to rest")
}

// Wait lets time pass.
func (d *Driver) Wait(dur time.Duration) {
	d.t.Helper()
	end := time.Now().Add(dur)
	for {
		d.Settle()
		rest := time.Until(end)
		if rest <= 0 {
			return
		}
		timer := time.NewTimer(rest)
		select {
		case msg := <-d.msgs:
			timer.Stop()
			d.update(msg)
		case <-timer.C:
		}
	}
}

// Press presses keys as the keymap writes them: "R", "enter", "ctrl+c".
func (d *Driver) Press(keys ...string) {
	d.t.Helper()
	for _, k := range keys {
		d.Wait(keyPause)
		d.Send(Key(k))
	}
	d.Wait(keyPause)
}

// Type presses the key of each character.
func (d *Driver) Type(text string) {
	d.t.Helper()
	for _, r := range text {
		if r == ' ' {
			d.Press("space")
			continue
		}
		d.Press(string(r))
	}
}

// Resize changes the size of the screen.
func (d *Driver) Resize(width, height int) {
	d.t.Helper()
	d.Send(tea.WindowSizeMsg{Width: width, Height: height})
}

// Screen returns what is on the screen, without styles and trailing spaces.
func (d *Driver) Screen() string {
	lines, _ := d.shell.Lines()
	for i, l := range lines {
		lines[i] = strings.TrimRight(ansi.Strip(l), " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

// Styled returns what is on the screen with its styles.
func (d *Driver) Styled() string {
	lines, _ := d.shell.Lines()
	return strings.Join(lines, "\n") + "\n"
}

// Cursor returns where the cursor is; false when it is hidden.
func (d *Driver) Cursor() (x, y int, ok bool) {
	_, c := d.shell.Lines()
	if c == nil {
		return 0, 0, false
	}
	return c.X, c.Y, true
}

// Contains fails the test unless the screen has each of the texts.
func (d *Driver) Contains(texts ...string) {
	d.t.Helper()
	screen := d.Screen()
	for _, s := range texts {
		if !strings.Contains(screen, s) {
			d.t.Errorf("the screen does not have %q:\n%s", s, screen)
		}
	}
}

// Lacks fails the test if the screen has one of the texts.
func (d *Driver) Lacks(texts ...string) {
	d.t.Helper()
	screen := d.Screen()
	for _, s := range texts {
		if strings.Contains(screen, s) {
			d.t.Errorf("the screen has %q:\n%s", s, screen)
		}
	}
}

// Golden compares the screen with the test's golden file; -update writes it.
func (d *Driver) Golden() {
	d.t.Helper()
	golden.RequireEqual(d.t, d.Screen())
}

// Quit reports whether the console has left, and with what result.
func (d *Driver) Quit() (ui.Result, bool) { return d.shell.Result(), d.quit }

// Clipboard returns what was copied last.
func (d *Driver) Clipboard() string { return d.clip }

// Frames counts the frames that were drawn; at rest there are none.
func (d *Driver) Frames() int { return d.views }

// Key makes the message of a key as the keymap writes it.
func Key(name string) tea.KeyPressMsg {
	var mod tea.KeyMod
	for {
		switch {
		case strings.HasPrefix(name, "ctrl+"):
			mod |= tea.ModCtrl
			name = name[len("ctrl+"):]
			continue
		case strings.HasPrefix(name, "alt+"):
			mod |= tea.ModAlt
			name = name[len("alt+"):]
			continue
		case strings.HasPrefix(name, "shift+"):
			mod |= tea.ModShift
			name = name[len("shift+"):]
			continue
		}
		break
	}
	if code, ok := named(name); ok {
		k := tea.KeyPressMsg{Code: code, Mod: mod}
		if code == tea.KeySpace && mod == 0 {
			k.Text = " "
		}
		return k
	}
	r := []rune(name)[0]
	k := tea.KeyPressMsg{Code: r, Mod: mod}
	if mod == 0 {
		k.Text = name
	}
	return k
}

func named(name string) (rune, bool) {
	code, ok := map[string]rune{
		"up": tea.KeyUp, "down": tea.KeyDown, "left": tea.KeyLeft, "right": tea.KeyRight,
		"home": tea.KeyHome, "end": tea.KeyEnd, "pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown,
		"enter": tea.KeyEnter, "tab": tea.KeyTab, "space": tea.KeySpace, "backspace": tea.KeyBackspace,
		"delete": tea.KeyDelete, "insert": tea.KeyInsert, "esc": tea.KeyEscape,
		"f1": tea.KeyF1, "f2": tea.KeyF2, "f3": tea.KeyF3, "f4": tea.KeyF4, "f5": tea.KeyF5,
	}[name]
	return code, ok
}

// Content returns what is written to the terminal.
func (d *Driver) Content() string { return d.shell.View().Content }

// Run runs a command as if a view had returned it, and settles.
func (d *Driver) Run(cmd tea.Cmd) {
	d.t.Helper()
	d.run(cmd)
	d.Settle()
}

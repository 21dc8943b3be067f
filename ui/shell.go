package ui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"pitwall/assets"
	"pitwall/backend"
	"pitwall/ui/action"
	"pitwall/ui/dialog"
	"pitwall/ui/keymap"
	"pitwall/ui/safe"
	"pitwall/ui/theme"
)

// Options make a Shell. Nothing else is read: no environment, no terminal, no
// file; a program that serves several terminals gives each its own.
type Options struct {
	Backend backend.Backend
	// Views are the specs, in the palette's order.
	Views []Spec
	// Start is the first place; zero means the first of Views.
	Start Place
	// Context names the server.
	Context Context

	// Now is the time; nil means the clock.
	Now func() time.Time

	// Theme chooses "dark" or "light"; empty asks the terminal.
	Theme string
	// ThemeFile is the operator's own theme; empty means the built-in ones.
	ThemeFile []byte
	// Keymap is the operator's own keys; empty means the built-in ones.
	Keymap []byte
	// NoColor leaves bold and reverse; ASCII is for locales without UTF-8.
	NoColor, ASCII bool
	// NoMouse leaves the mouse to the terminal.
	NoMouse bool

	// Leave are the answers that q asks for, the first of them the default;
	// with none of them q leaves at once.
	Leave []Leaving
}

// Leaving is one way to leave.
type Leaving struct {
	Key   string
	Text  safe.Text
	Value string // what Result.Leave says
}

// Result is what is to be said after the console has gone.
type Result struct {
	// Apps and Instances are how many keep running, as far as was known.
	Apps, Instances int
	// Open are operations that were asked for here and have not ended.
	Open []backend.Operation
	// Leave is the Value of the answer that was chosen.
	Leave string
	// Place is where the operator was.
	Place Place
}

// Shell is the console's model. Make it with [New] and run it with [Run], or
// in a Bubble Tea program of your own.
type Shell struct {
	o      Options
	ctx    context.Context
	cancel context.CancelFunc
	deps   Deps
	theme  *theme.Theme
	keymap *keymap.Map

	width, height int
	split         bool // the operator wants the companion
	mouse         bool

	stack   []*entry // history; the last is on the screen
	dialogs dialog.Stack

	apps     *Sync[backend.App]
	jobs     *Sync[backend.Job]
	counts   counts // of apps
	receipts receipts
	link     link
	latest   time.Time // of the last change that was seen

	wishes   wishes
	notice   Notice
	canceled bool // ctrl+c was the last key and there was nothing to cancel

	ages   ages
	result Result
}

// New makes a Shell. It reads themes and keys, and fails with a sentence where
// the operator's own are wrong. It does no other IO.
func New(ctx context.Context, o Options) (*Shell, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	keys, err := keymap.Parse(assets.Keymap)
	if err == nil && len(o.Keymap) > 0 {
		keys, err = keys.Over(o.Keymap)
	}
	if err != nil {
		return nil, err
	}
	s := &Shell{o: o, keymap: keys, split: true, mouse: !o.NoMouse}
	s.theme = &theme.Theme{}
	if err := s.dress(o.Theme == "light"); err != nil {
		return nil, err
	}
	s.ctx, s.cancel = context.WithCancel(ctx)
	s.dialogs.Now = o.Now
	s.receipts.now = o.Now
	s.deps = s.newDeps()
	s.apps, s.jobs = newCatalog(o.Backend)
	return s, nil
}

// dress makes the theme, in place, since views hold it.
func (s *Shell) dress(light bool) error {
	opt := theme.Options{Light: light, NoColor: s.o.NoColor, ASCII: s.o.ASCII}
	var th *theme.Theme
	var err error
	if len(s.o.ThemeFile) > 0 {
		th, err = theme.Parse(s.o.ThemeFile, opt)
	} else {
		th, err = theme.New(assets.Themes, opt)
	}
	if err != nil {
		return err
	}
	*s.theme = *th
	return nil
}

func (s *Shell) now() time.Time { return s.o.Now() }

func (s *Shell) newDeps() Deps {
	send := s.wishes.add
	return Deps{
		Backend: s.o.Backend, Theme: s.theme, Keymap: s.keymap, Now: s.o.Now, Context: s.o.Context,
		Do:     s.do,
		Go:     func(p Place) tea.Cmd { return send(goMsg{p}) },
		Back:   func() tea.Cmd { return send(backMsg{}) },
		Open:   func(d dialog.Dialog) tea.Cmd { return send(openMsg{d, false}) },
		Alert:  func(d dialog.Dialog) tea.Cmd { return send(openMsg{d, true}) },
		Notify: func(n Notice) tea.Cmd { return send(n) },
		Copy: func(what safe.Text, text string) tea.Cmd {
			said := safe.Join(safe.Literal(" "), safe.Literal("copied"), what)
			return tea.Batch(tea.SetClipboard(text), send(Notice{Text: said}))
		},
		Age: s.age,
	}
}

// The messages by which views and commands speak to the Shell.
type (
	goMsg   struct{ place Place }
	backMsg struct{}
	openMsg struct {
		dialog dialog.Dialog
		late   bool // it comes by itself
	}
)

// do gives commands to the backend, unless the context is read-only.
func (s *Shell) do(commands ...backend.Command) tea.Cmd {
	if s.o.Context.ReadOnly {
		return s.wishes.add(Notice{Text: safe.Clean(s.o.Context.Name + " is read-only here"), Bad: true})
	}
	if len(commands) == 0 {
		return nil
	}
	verb := safe.Clean(commands[0].Verb())
	return tea.Batch(s.wishes.add(asked{verb}), do(s.ctx, s.o.Backend, commands))
}

// Init opens the first view and asks for everything, waiting for nothing.
func (s *Shell) Init() tea.Cmd {
	p := s.o.Start
	if p.View == "" && len(s.o.Views) > 0 {
		p.View = s.o.Views[0].Name
	}
	cmds := []tea.Cmd{
		s.push(p),
		s.apps.Init(s.ctx), s.jobs.Init(s.ctx),
		s.receipts.follow(s.ctx, s.o.Backend),
		s.link.follow(s.ctx, s.o.Backend),
		s.ages.start(s.now()),
	}
	if s.o.Theme == "" {
		cmds = append(cmds, tea.RequestBackgroundColor)
	}
	return tea.Batch(cmds...)
}

// Update routes a message and then sees to what may follow from it.
func (s *Shell) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	cmd := s.route(msg)
	return s, tea.Batch(cmd, s.grant(), s.settle())
}

// grant does what views have wished for, before the next key is looked at: a
// key that is typed ahead of a place or a dialog is for that.
func (s *Shell) grant() tea.Cmd {
	var cmds []tea.Cmd
	for msgs := s.wishes.take(); len(msgs) > 0; msgs = s.wishes.take() {
		for _, m := range msgs {
			cmd, _ := s.own(m)
			cmds = append(cmds, cmd)
		}
	}
	return tea.Batch(cmds...)
}

// settle brings layout and companion in line with what the views say now.
func (s *Shell) settle() tea.Cmd {
	cmd := s.companion()
	s.layout()
	return tea.Batch(cmd, s.ages.next(s.now()), s.receipts.tick())
}

// route gives a message to whom it is for.
func (s *Shell) route(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		s.width, s.height = max(msg.Width, 0), max(msg.Height, 0)
		return nil
	case tea.BackgroundColorMsg:
		if s.o.Theme == "" && s.theme.Light == msg.IsDark() {
			// A theme that could be read before can be read again.
			_ = s.dress(!msg.IsDark())
		}
		return nil
	case tea.KeyPressMsg:
		return s.key(msg)
	case tea.PasteMsg:
		return s.paste(msg)
	case tea.MouseMsg:
		return s.mouseMsg(msg)
	case tea.KeyReleaseMsg:
		return nil
	}
	if cmd, ok := s.own(msg); ok {
		return cmd
	}
	return s.broadcast(msg)
}

// own handles the messages that are for the Shell alone.
func (s *Shell) own(msg tea.Msg) (tea.Cmd, bool) {
	switch msg := msg.(type) {
	case goMsg:
		return s.push(msg.place), true
	case backMsg:
		return s.back(), true
	case wished:
		return nil, true
	case openMsg:
		if msg.late {
			s.dialogs.PushLate(msg.dialog)
		} else {
			s.dialogs.Push(msg.dialog)
		}
		return nil, true
	case Notice:
		s.notice = msg
		return nil, true
	case leaveMsg:
		return s.leave(msg.value), true
	case companionMsg:
		return s.openCompanion(msg), true
	case ageTick:
		return s.broadcast(RefreshMsg{}), true
	case asked:
		s.receipts.asking = append(s.receipts.asking, msg.verb)
		return nil, true
	case done:
		return s.done(msg), true
	case receiptTick:
		s.receipts.ticks = false
		s.receipts.sweep(false)
		return nil, true
	case receiptReopen:
		return tea.Batch(s.receipts.follow(s.ctx, s.o.Backend), s.receipts.relist(s.ctx, s.o.Backend)), true
	case relisted:
		for _, op := range msg.ops {
			s.receipts.see(op)
		}
		return nil, true
	}
	return s.feeds(msg)
}

// feeds handles what the Shell itself follows.
func (s *Shell) feeds(msg tea.Msg) (tea.Cmd, bool) {
	if changed, cmd := s.apps.Update(msg); changed || cmd != nil {
		s.touch(s.apps.Latest())
		if changed {
			s.counts = countApps(s.apps.Items())
		}
		if s.latest.IsZero() {
			for _, a := range s.apps.Items() {
				s.touch(a.Updated)
			}
		}
		return cmd, true
	}
	if changed, cmd := s.jobs.Update(msg); changed || cmd != nil {
		s.touch(s.jobs.Latest())
		return cmd, true
	}
	switch msg := msg.(type) {
	case Batch[backend.Event]:
		if msg.From == s.receipts.stream {
			return s.operations(msg), true
		}
	case Batch[backend.LinkState]:
		if msg.From == s.link.stream {
			return s.linkState(msg), true
		}
	case linkReopen:
		return s.link.follow(s.ctx, s.o.Backend), true
	}
	return nil, false
}

// operations takes news of operations.
func (s *Shell) operations(msg Batch[backend.Event]) tea.Cmd {
	if msg.Err != nil {
		d := backoff(s.receipts.tries)
		s.receipts.tries++
		return tea.Tick(d, func(time.Time) tea.Msg { return receiptReopen{} })
	}
	s.receipts.tries = 0
	for _, e := range msg.Items {
		if e.Op != nil {
			s.receipts.see(*e.Op)
			s.touch(e.Time)
		}
	}
	cmd := s.receipts.stream.Next()
	if msg.Missed != nil {
		cmd = tea.Batch(cmd, s.receipts.relist(s.ctx, s.o.Backend))
	}
	return cmd
}

// done opens receipts, and says what was refused.
func (s *Shell) done(msg done) tea.Cmd {
	errs := s.receipts.add(msg)
	switch {
	case len(errs) == 1:
		s.notice = Notice{Text: safe.Clean(errs[0].Error()), Bad: true}
	case len(errs) > 1:
		s.notice = Notice{Text: safe.Clean(Plural(len(errs), "command") + " refused, the first: " + errs[0].Error()), Bad: true}
	}
	return s.receipts.relist(s.ctx, s.o.Backend)
}

// touch notes when something last changed.
func (s *Shell) touch(t time.Time) {
	if t.After(s.latest) {
		s.latest = t
	}
}

// perform does an action, after asking where its risk wants it.
func (s *Shell) perform(a action.Action) tea.Cmd {
	if ok, why := a.Allowed(); !ok {
		s.notice = Notice{Text: safe.Join(safe.Literal(": "), a.Title, why)}
		return nil
	}
	if a.Risk >= action.Medium || a.Ask != nil {
		s.dialogs.Push(dialog.NewConfirm(a, s.o.Context.Name))
		return nil
	}
	return a.Start()
}

// Result is what is to be said after the program has ended.
func (s *Shell) Result() Result { return s.result }

// Close closes all views. The Shell is not used after it.
func (s *Shell) Close() {
	for _, e := range s.stack {
		e.close()
	}
	s.stack = nil
	s.cancel()
}

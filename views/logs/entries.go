package logs

import (
	"cmp"
	"strconv"
	"strings"

	"pitwall/backend"
	"pitwall/ui"
	"pitwall/ui/logview"
	"pitwall/ui/present"
	"pitwall/ui/safe"
)

// flood is how many lines at once are shown as they were written, since to read
// each would hold up the screen, and nobody else reads them at that pace.
const flood = 2000

// entries turns what the backend gives into what is drawn.
func (v *view) entries(items []backend.LogEntry) []logview.Entry {
	out := make([]logview.Entry, 0, len(items))
	raw := v.raw || len(items) > flood
	only := v.log.Filter()
	for _, e := range items {
		switch {
		case e.Progress != nil:
			v.progress(*e.Progress)
		case e.Gap != nil:
			out = append(out, v.gap(e))
		case e.Divider != nil:
			out = append(out, v.divider(e))
		default:
			if !raw {
				e.Text = shown(e, only)
			}
			out = append(out, v.line(e))
		}
	}
	return out
}

// shown is a line without what stands before it anyway. A text that lines must
// have is searched in them as they were written: where it is in what is left
// out, the line is shown as it was written too, so that it can be seen.
func shown(e backend.LogEntry, only string) string {
	short := brief(e)
	if only != "" && !strings.Contains(strings.ToLower(short), only) {
		return e.Text
	}
	return short
}

func (v *view) line(e backend.LogEntry) logview.Entry {
	text := safe.CleanSGR(e.Text)
	if e.Cut > 0 {
		text = safe.Join(safe.Literal(" "), text, present.Text("(cut: the line is %s long)", ui.Bytes(e.Cut)))
	}
	return logview.Entry{
		Kind: logview.Line, Level: logview.Level(e.Level.Rank()), Time: e.Time,
		Label: v.label(e), Text: text, Cursor: string(e.Cursor),
	}
}

// label says who wrote a line, as shortly as the place allows.
func (v *view) label(e backend.LogEntry) safe.Text {
	name := ""
	switch {
	case e.Process != "":
		name = backend.InstanceName(e.Process, e.Index)
	case e.Run > 0:
		name = "run " + strconv.Itoa(e.Run)
	}
	if v.place.Ref.Kind == "" && e.App != "" {
		if name == "" {
			return safe.Clean(e.App)
		}
		return safe.Clean(e.App + "/" + name)
	}
	if v.place.Ref.Kind == backend.KindJob && e.Run > 0 {
		name = "run " + strconv.Itoa(e.Run)
	}
	return safe.Clean(name)
}

// divider says what happened between the lines.
func (v *view) divider(e backend.LogEntry) logview.Entry {
	text := cmp.Or(e.Divider.Text, e.Divider.Kind)
	if e.Process != "" { // its name is there already
		text = strings.TrimPrefix(text, e.App+" ")
		text = strings.TrimPrefix(text, backend.InstanceName(e.Process, e.Index)+" ")
	}
	if v.place.Ref.Kind == backend.KindJob && e.Run > 0 {
		text = strings.TrimSuffix(text, " · run "+strconv.Itoa(e.Run))
	}
	return logview.Entry{
		Kind: logview.Divider, Time: e.Time, Label: v.label(e), Text: safe.Clean(text), Cursor: string(e.Cursor),
	}
}

// gap notes lines that are not there. The id finds them again, since several
// gaps may have one cursor.
func (v *view) gap(e backend.LogEntry) logview.Entry {
	v.madeGap++
	id := "gap " + strconv.Itoa(v.madeGap)
	v.gaps[id] = gap{*e.Gap, e.Cursor}
	text := present.Text("%s lines are not here", logview.Thousands(int(e.Gap.Count)))
	if e.Gap.Count == 1 {
		text = safe.Literal("1 line is not here")
	}
	if e.Gap.Reason != "" {
		text = safe.Join(safe.Literal(": "), text, safe.Clean(e.Gap.Reason))
	}
	if fetchable(*e.Gap) {
		v.skipped += e.Gap.Count
		key := v.deps.Keymap.Keys("log.refetch")
		if len(key) > 0 {
			text = safe.Join(safe.Literal(" · "), text, safe.Clean(key[0]+" fetches them"))
		}
	}
	return logview.Entry{Kind: logview.Gap, Time: e.Time, Label: v.label(e), Text: text, Cursor: id}
}

// fetchable reports whether the lines of a gap are still somewhere.
func fetchable(g backend.LogGap) bool {
	return (g.Reason == "" || g.Reason == "slow reader") && g.Instance != "" && g.To >= g.From
}

func (v *view) progress(p backend.LogProgress) {
	v.scanned = safe.Text{}
	if !p.Done && p.Total > 0 {
		v.scanned = present.Text("searched %d%%", 100*p.Scanned/p.Total)
	}
}

package logs

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"pitwall/backend"
)

// near is how far a line's own time may be from when it was read and still be
// the same to a reader.
const near = 2 * time.Second

// brief leaves out of a line what stands before it anyway, its time and its
// level, and puts the message of a structured line before its fields. A line
// in no form that is known is as it was written.
func brief(e backend.LogEntry) string {
	if s := shorten(e); strings.TrimSpace(s) != "" {
		return s
	}
	return e.Text
}

func shorten(e backend.LogEntry) string {
	text := strings.TrimSpace(e.Text)
	switch {
	case strings.HasPrefix(text, "{"):
		if f, ok := readJSON(text); ok {
			return f.join(e)
		}
	case strings.Contains(text, "msg="):
		if f, ok := readLogfmt(text); ok {
			return f.join(e)
		}
	default:
		return plain(e)
	}
	return e.Text
}

// field is a name and a value of a structured line.
type field struct{ name, value string }

type fields []field

// join writes the message and then the other fields.
func (f fields) join(e backend.LogEntry) string {
	var b strings.Builder
	for _, p := range f {
		if message(p.name) {
			b.WriteString(p.value)
			break
		}
	}
	for _, p := range f {
		if message(p.name) || known(p, e) {
			continue
		}
		b.WriteByte(' ')
		b.WriteString(p.name)
		b.WriteByte('=')
		if p.value == "" || strings.ContainsAny(p.value, " \"=") && !strings.HasPrefix(p.value, "{") && !strings.HasPrefix(p.value, "[") {
			b.WriteString(strconv.Quote(p.value))
		} else {
			b.WriteString(p.value)
		}
	}
	return b.String()
}

// has reports whether there is one message.
func (f fields) has() bool {
	n := 0
	for _, p := range f {
		if message(p.name) {
			n++
		}
	}
	return n == 1
}

func message(name string) bool { return name == "msg" || name == "message" }

// known reports whether a field says what stands before the line.
func known(p field, e backend.LogEntry) bool {
	switch p.name {
	case "time", "ts", "timestamp", "@timestamp":
		t, err := time.Parse(time.RFC3339Nano, p.value)
		return err == nil && t.Sub(e.Time).Abs() < near
	case "level", "lvl", "severity":
		return sameLevel(p.value, e.Level)
	}
	return false
}

func sameLevel(word string, l backend.Level) bool {
	if l == backend.LevelUnknown {
		return false
	}
	own, err := backend.ParseLevel(strings.Trim(word, "[]:"))
	return err == nil && own == l
}

// readJSON reads the fields of one object, in their order.
func readJSON(text string) (fields, bool) {
	dec := json.NewDecoder(strings.NewReader(text))
	if _, err := dec.Token(); err != nil {
		return nil, false
	}
	var out fields
	for dec.More() {
		name, err := dec.Token()
		key, ok := name.(string)
		if err != nil || !ok {
			return nil, false
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, false
		}
		value := string(raw)
		if strings.HasPrefix(value, `"`) && json.Unmarshal(raw, &value) != nil {
			return nil, false
		}
		out = append(out, field{key, value})
	}
	if _, err := dec.Token(); err != nil || int(dec.InputOffset()) != len(text) {
		return nil, false
	}
	return out, out.has()
}

// readLogfmt reads name=value pairs with spaces between, values quoted where
// they have spaces.
func readLogfmt(text string) (fields, bool) {
	var out fields
	for text != "" {
		name, rest, ok := strings.Cut(text, "=")
		if !ok || name == "" || strings.ContainsAny(name, " \"") {
			return nil, false
		}
		value, after, _ := strings.Cut(rest, " ")
		if strings.HasPrefix(rest, `"`) {
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				return nil, false
			}
			if value, err = strconv.Unquote(quoted); err != nil {
				return nil, false
			}
			after = rest[len(quoted):]
			if after != "" && after[0] != ' ' {
				return nil, false
			}
		}
		out = append(out, field{name, value})
		text = strings.TrimLeft(after, " ")
	}
	return out, out.has()
}

// plain leaves out a time and a level at the beginning.
func plain(e backend.LogEntry) string {
	first, rest, ok := strings.Cut(e.Text, " ")
	if !ok {
		return e.Text
	}
	t, err := time.Parse(time.RFC3339Nano, first)
	if err != nil || t.Sub(e.Time).Abs() >= near {
		return e.Text
	}
	rest = strings.TrimLeft(rest, " ")
	if word, after, ok := strings.Cut(rest, " "); ok && sameLevel(word, e.Level) {
		rest = strings.TrimLeft(after, " ")
	}
	if rest == "" {
		return e.Text
	}
	return rest
}

package logstore

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// maxMessage is the most of a last error that is shown: a line on a screen.
const maxMessage = 200

// maxRemembered is how much of an error line is kept to find the message in.
const maxRemembered = 4 << 10

// message takes from an error line what a person wants to read: the message of
// JSON and logfmt, else the line itself, cut at 200 bytes.
func message(line []byte) string {
	text := ""
	if len(line) > 0 && line[0] == '{' {
		text = jsonMessage(line)
	}
	if text == "" {
		text = logfmtMessage(line)
	}
	if text == "" {
		text = string(line)
	}
	return shorten(strings.TrimSpace(text))
}

func shorten(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxMessage {
		return s
	}
	cut := maxMessage - len("…")
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

var messageKeys = [...]string{`"msg"`, `"message"`, `"error"`, `"err"`, `"@message"`, `"event"`}

// jsonMessage finds the message without reading the whole object, which may be
// cut.
func jsonMessage(line []byte) string {
	for _, key := range messageKeys {
		for from := 0; ; {
			i := bytes.Index(line[from:], []byte(key))
			if i < 0 {
				break
			}
			at := from + i
			from = at + len(key)
			v := skipSpace(line[from:])
			if at == 0 || line[at-1] == '\\' || len(v) == 0 || v[0] != ':' {
				continue
			}
			v = skipSpace(v[1:])
			if len(v) < 2 || v[0] != '"' {
				continue
			}
			if s := jsonString(v); s != "" {
				return s
			}
		}
	}
	return ""
}

// jsonString reads the string that v starts with, cut where v ends.
func jsonString(v []byte) string {
	for i := 1; i < len(v); i++ {
		switch v[i] {
		case '\\':
			i++
		case '"':
			var s string
			if json.Unmarshal(v[:i+1], &s) == nil {
				return s
			}
			return ""
		}
	}
	return string(v[1:])
}

func logfmtMessage(line []byte) string {
	if logfmtRank(line) == unknown {
		return ""
	}
	for _, key := range [...]string{"msg=", "message=", "error=", "err="} {
		i := bytes.Index(line, []byte(key))
		if i < 0 || i > 0 && line[i-1] > ' ' {
			continue
		}
		v := line[i+len(key):]
		if len(v) > 1 && v[0] == '"' {
			if s := jsonString(v); s != "" {
				return s
			}
			continue
		}
		if end := bytes.IndexByte(v, ' '); end >= 0 {
			v = v[:end]
		}
		if len(v) > 0 {
			return string(v)
		}
	}
	return ""
}

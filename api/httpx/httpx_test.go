package httpx_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pitwall/api/httpx"
	"pitwall/backend"
)

func TestBearer(t *testing.T) {
	for header, want := range map[string]string{
		"Bearer abc": "abc", "bearer  abc ": "abc", "Bearer ": "", "Basic abc": "", "abc": "", "": "",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", header)
		if got, ok := httpx.Bearer(r); got != want || ok != (want != "") {
			t.Errorf("Bearer(%q) = %q, %v, want %q", header, got, ok, want)
		}
	}
}

func TestReadJSONRefuses(t *testing.T) {
	type body struct {
		Name string `json:"name"`
	}
	tests := []struct{ body, want string }{
		{`{"name":"x"}`, ""},
		{`{"name":"x","nmae":"y"}`, "nmae"},
		{`{"name":5}`, "name"},
		{`{"name":`, "too soon"},
		{``, "too soon"},
		{`{"name":"x"} {}`, "more behind"},
		{`{"name":"` + strings.Repeat("x", httpx.MaxBody) + `"}`, "longer than"},
	}
	for _, tt := range tests {
		var v body
		r := httptest.NewRequest("POST", "/", strings.NewReader(tt.body))
		err := httpx.ReadJSON(httptest.NewRecorder(), r, &v)
		if tt.want == "" {
			if err != nil || v.Name != "x" {
				t.Errorf("ReadJSON(%s) = %v, %v", tt.body, v, err)
			}
			continue
		}
		if backend.CodeOf(err) != backend.Invalid || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("ReadJSON(%.40s) = %v, want invalid with %q", tt.body, err, tt.want)
		}
	}
}

func TestLines(t *testing.T) {
	w := httptest.NewRecorder()
	lines := httpx.NewLines(w)
	if err := lines.Write(1, "two"); err != nil {
		t.Fatal(err)
	}
	if got := w.Body.String(); got != "1\n\"two\"\n" || !w.Flushed || w.Code != http.StatusOK {
		t.Errorf("body = %q, flushed %v, status %d", got, w.Flushed, w.Code)
	}
}

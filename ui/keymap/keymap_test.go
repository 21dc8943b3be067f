package keymap_test

import (
	"slices"
	"strings"
	"testing"

	"pitwall/assets"
	"pitwall/ui/action"
	"pitwall/ui/keymap"
)

func shipped(t *testing.T) *keymap.Map {
	t.Helper()
	m, err := keymap.Parse(assets.Keymap)
	if err != nil {
		t.Fatalf("Parse(shipped) = %v", err)
	}
	return m
}

func TestShippedTableIsSound(t *testing.T) {
	m := shipped(t)
	if got := m.Keys("app.restart"); !slices.Equal(got, []string{"R"}) {
		t.Errorf("Keys(app.restart) = %v, want [R]", got)
	}
}

func TestOwnFileLiesOverTheShippedOne(t *testing.T) {
	m := shipped(t)
	over, err := m.Over([]byte("app.restart: [f5]\napp.block: []\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := over.Keys("app.restart"); !slices.Equal(got, []string{"f5"}) {
		t.Errorf("Keys(app.restart) = %v, want [f5]", got)
	}
	if got := over.Keys("app.block"); len(got) != 0 {
		t.Errorf("Keys(app.block) = %v, want none", got)
	}
	if got := over.Keys("app.kick"); !slices.Equal(got, []string{"K"}) {
		t.Errorf("Keys(app.kick) = %v, want the shipped [K]", got)
	}
	if got := m.Keys("app.restart"); !slices.Equal(got, []string{"R"}) {
		t.Errorf("the shipped table changed: %v", got)
	}
}

func TestWrongFilesAreRefusedWithASentence(t *testing.T) {
	m := shipped(t)
	for in, want := range map[string]string{
		"app.restart: [K]":         `key "K" means both app.kick and app.restart`,
		"keys: {app.restart: [q]}": `key "q" means both app.restart and global.quit`,
		"app.restart: [ctrl+r]":    `app.restart is destructive and must not be on the control key "ctrl+r"`,
		"app.bounce: [X]":          `there is no action "app.bounce"`,
		"app.restart: [contrl+x]":  `there is no key "contrl+x"`,
		"app.restart: R":           "write a line such as app.restart: [R]",
		"log.follow: [w]":          `log.follow and log.wrap`,
	} {
		got, err := m.Over([]byte(in))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Over(%q) = %v, want it to say %q", in, err, want)
		}
		if got != nil {
			t.Errorf("Over(%q) gave a table with its error", in)
		}
	}
}

func TestSameKeyOnDifferentScreensIsNoCollision(t *testing.T) {
	if _, err := shipped(t).Over([]byte("logger.reset: [w]")); err != nil {
		t.Errorf("Over() = %v; loggers and logs are never on one screen", err)
	}
}

func TestCheckFindsUnconfirmedDestruction(t *testing.T) {
	m := shipped(t)
	err := m.Check([]action.Action{{ID: "app.stop", Risk: action.High}, {ID: "x.y", Keys: []string{"S"}}})
	for _, want := range []string{"app.stop is destructive and asks nothing", `key "S" means both app.stop and x.y`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Check() = %v, want it to say %q", err, want)
		}
	}
}

func FuzzOver(f *testing.F) {
	f.Add("app.restart: [R]")
	f.Add("keys: {a: [b]}")
	m, err := keymap.Parse(assets.Keymap)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := m.Over([]byte(s)); (got == nil) == (err == nil) {
			t.Errorf("Over(%q) = %v, %v; want one of them", s, got, err)
		}
	})
}

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"pitwall/assets"
	"pitwall/backend"
	"pitwall/backend/manifest"
)

// maxManifest bounds what is read of a manifest; a megabyte declares
// thousands of apps.
const maxManifest = 1 << 20

func (c *cli) applyCommand() *cobra.Command {
	var a action
	var files []string
	var dryRun, prune bool
	cmd := &cobra.Command{
		Use: "apply -f FILE", Short: "Declare apps and jobs",
		Long:    "Declares the apps and jobs of manifests: what is new is started, what differs gets a new release and is replaced one instance after the other, what is the same is left alone. Nothing is done when any part is wrong. --prune deletes what an earlier apply of the same file declared and it no longer names.",
		Example: "  pitwall apply -f shop.yaml --dry-run\n  pitwall apply -f shop.yaml --wait\n  cat shop.yaml | pitwall apply -f -",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(files) == 0 {
				return usagef("apply needs a manifest: -f FILE, or -f - for standard input")
			}
			declared, err := c.readManifests(files)
			if err != nil {
				return err
			}
			apply := backend.Apply{Apps: declared.Apps, Jobs: declared.Jobs, Set: setName(files[0]), Prune: prune, DryRun: dryRun, Intent: a.intent()}
			return c.with(cmd.Context(), func(ctx context.Context, b backend.Backend) error { return c.apply(ctx, b, &a, apply) })
		},
	}
	a.flags(cmd)
	f := cmd.Flags()
	f.StringArrayVarP(&files, "file", "f", nil, "a manifest `file`, - for standard input")
	f.BoolVar(&dryRun, "dry-run", false, "print the difference and change nothing")
	f.BoolVar(&prune, "prune", false, "delete what the file no longer names")
	return cmd
}

// setName is what an Apply of a file is known by: its whole path.
func setName(file string) string {
	if file == "-" {
		return "stdin"
	}
	if abs, err := filepath.Abs(file); err == nil {
		return abs
	}
	return file
}

func (c *cli) readManifests(paths []string) (manifest.Declaration, error) {
	var files []manifest.File
	for _, path := range paths {
		raw, err := c.readManifest(path)
		if err != nil {
			return manifest.Declaration{}, err
		}
		name := path
		if path == "-" {
			name = "standard input"
		}
		files = append(files, manifest.File{Name: name, Body: raw})
	}
	return manifest.Parse(assets.ManifestSchema, files...)
}

func (c *cli) readManifest(path string) ([]byte, error) {
	in := io.Reader(c.in)
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, usagef("read manifest: %w", err)
		}
		defer f.Close()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxManifest+1))
	if err != nil {
		return nil, usagef("read manifest %s: %w", path, err)
	}
	if len(raw) > maxManifest {
		return nil, usagef("the manifest %s is larger than 1 MiB", path)
	}
	return raw, nil
}

func (c *cli) apply(ctx context.Context, b backend.Backend, a *action, apply backend.Apply) error {
	dry := apply
	dry.DryRun, dry.Key = true, "" // the key is the real one's
	res, err := b.Do(ctx, dry)
	if err != nil {
		return err
	}
	switch {
	case apply.DryRun && c.structured():
		return c.printStructured(list(res.Changes))
	case apply.DryRun || !c.structured() && c.output != "name":
		c.printChanges(res.Changes)
	}
	if apply.DryRun {
		return nil
	}
	deletes := 0
	for _, ch := range res.Changes {
		if ch.Kind == backend.ChangeDelete {
			deletes++
		}
	}
	if deletes == 0 {
		apply.Prune = false // nothing to ask about
	}
	name := fmt.Sprintf("%d apps and %d jobs", len(apply.Apps), len(apply.Jobs))
	if deletes > 0 {
		name = fmt.Sprintf("and delete %d that the file no longer names", deletes)
	}
	return c.do(ctx, b, a, []named{{name, apply}})
}

func (c *cli) printChanges(changes []backend.Change) {
	same := 0
	for _, ch := range changes {
		mark := map[backend.ChangeKind]string{backend.ChangeCreate: "+", backend.ChangeUpdate: "~", backend.ChangeDelete: "-"}[ch.Kind]
		if mark == "" {
			same++
			continue
		}
		c.println(fmt.Sprintf("%s %s", mark, ch.Ref))
		for _, f := range ch.Fields {
			c.println(fmt.Sprintf("    %s: %s → %s", f.Path, orDash(f.Old), orDash(f.New)))
		}
	}
	if same > 0 {
		c.println(fmt.Sprintf("= %d unchanged", same))
	}
}

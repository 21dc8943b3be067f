package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"pitwall/cmd/pitwall/demo"
)

// manCommand writes the manual pages of every command.
func (c *cli) manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man FOLDER", Short: "Write the manual pages to a folder", Args: names(1, 1, "a folder"), Hidden: false,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("make folder: %w", err)
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true
			header := &doc.GenManHeader{Title: "PITWALL", Section: "1", Source: "pitwall " + version(), Manual: "Pitwall"}
			if err := doc.GenManTree(root, header, args[0]); err != nil {
				return fmt.Errorf("write manual pages: %w", err)
			}
			c.println("read them with: man -l " + args[0] + "/pitwall.1")
			return nil
		},
	}
}

// demoCommand runs the demo's own programs; the demo's manifest starts them.
func (c *cli) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use: "demo PROGRAM", Short: "Run one of the demo's programs", Hidden: true, DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return demo.Run(cmd.Context(), args, c.out, c.err)
		},
	}
}

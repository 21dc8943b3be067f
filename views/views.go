// Package views lists the console's screens. A screen is a folder below this
// one; adding one is a folder and a line here.
package views

import (
	"pitwall/ui"
	"pitwall/views/apps"
	"pitwall/views/describe"
	"pitwall/views/events"
	"pitwall/views/instances"
	"pitwall/views/jobs"
	"pitwall/views/loggers"
	"pitwall/views/logs"
	"pitwall/views/nodes"
	"pitwall/views/operations"
	"pitwall/views/runs"
)

// Default returns the screens in the palette's order. The first is where the
// console begins; of those that show a kind of resource, the first is where
// its name leads.
func Default() []ui.Spec {
	return []ui.Spec{
		apps.Spec(), instances.Spec(), jobs.Spec(), runs.Spec(), logs.Spec(), loggers.Spec(),
		events.Spec(), operations.Spec(), nodes.Spec(), describe.Spec(),
	}
}

// Package ui is the console's Shell: the one Bubble Tea model, which routes
// messages, keeps the history of places, lays the screen out and draws header,
// footer and overlays. What is between header and footer comes from views.
//
// # The contract with views
//
// A view is a folder that gives a [Spec]; [Spec.Open] makes a [View] for a
// [Place] out of [Deps]. Update decides, a command does IO, Render only draws.
// A view reaches the world in three ways: reads through Deps.Backend, inside
// commands; changes through Deps.Do, which opens a receipt; other places
// through Deps.Go. It follows feeds with [Follow] and keeps lists true with
// [Sync].
//
// Keys never reach a view by themselves. A view lists its actions; the Shell
// finds the one on the key, asks for confirmation by its risk, and runs it.
// Only a view that is capturing, because the operator types into it, gets key
// presses and pastes.
//
// # Messages
//
// Every message that is no key, mouse or window message goes to all open
// views, which ignore what is not theirs: a [Batch] says which stream it is
// from, a view's own messages should hold the view's pointer or a number.
package ui

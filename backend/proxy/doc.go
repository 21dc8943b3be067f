// Package proxy is the edge: it listens for each app, forwards HTTP by host
// name and TCP by address to the app's ready instances, and makes block and
// kick real.
//
// A caller declares apps whole with [Edge.Set], as often as it likes; the edge
// works out the difference, opens and closes listeners, and leaves every open
// connection alone that the change does not concern. [Edge.Kick] closes what an
// app has open, [Edge.Drain] waits until an instance has nothing open, and
// [Edge.CountsOf] says what there is.
//
// # Words
//
// A target is an instance as the edge sees it: an address that may be ready. A
// pool is one declared app with its targets. A flow is what is open to a
// target: a TCP connection, an HTTP request, or an upgraded connection. A
// client is an accepted HTTP connection, which may carry requests of many apps.
//
// # Who gets a connection
//
// The target with the least flows, among those of the route's process that are
// ready and neither blocked nor draining; between equals, the one that waited
// longest. A target that could not be dialled is tried last for a second.
package proxy

// Package wire is the native protocol: what the server's api/native and the
// client's backend/remote have to agree on, and nothing else.
//
// # Requests
//
// Everything lies under [Prefix]. Who is calling is known by the door: a unix
// socket by the peer's user, TCP by "Authorization: Bearer TOKEN".
//
//	GET  /pitwall/v1/{apps|instances|jobs|runs|releases|loggers|operations|
//	                  events|nodes|documents}?q=JSON      a listing
//	POST /pitwall/v1/do/{verb}                            a command
//	GET  /pitwall/v1/blobs/{kind}/{id}?stream=&offset=&length=&tail=
//	POST /pitwall/v1/blobs                                a bundle
//	GET  /pitwall/v1/feeds                                a websocket
//	GET  /pitwall/v1/attach?q=JSON                        a websocket
//	GET  /pitwall/v1/openapi.json
//
// The parameter q is the JSON of the query, for example AppQuery; without it
// everything is asked for. A listing answers with backend.List. A field that
// does not exist is an error.
//
// A command's body is its JSON without the verb. It answers with [Result] as
// soon as the operation is accepted. The header Idempotency-Key, or the field
// key, makes a repeated request the same operation. Result.once has a value
// that is shown this one time; no other reply has it.
//
// A blob is raw bytes. A request with "Range: bytes=A-B" is answered with 206
// and at most [MaxRange] bytes. A failure after the first byte is told in the
// trailer [ErrorTrailer], which holds an [Error] as JSON.
//
// # Errors
//
// A failure is answered with the status of its code, see [Status], and
//
//	{"error": {"code": "not-found", "op": "restart", "message": "…", "ref": {…}}}
//
// The message is the reason alone, a plain sentence; op and ref come before it
// when a person is told.
//
// # Feeds
//
// One websocket carries any number of feeds. A message is one [Frame] as JSON
// text. The client opens a feed with a number of its choice, which is not used
// again on that connection, a kind and a query:
//
//	{"type":"open","feed":1,"kind":"watch","query":{"since":41},"credit":8}
//
// The server answers with opened, which has the index that a watch really
// starts after and the server's time, or with end and the reason. Then come
//
//	{"type":"items","feed":1,"items":[…]}
//	{"type":"lagged","feed":1,"lagged":{"missed":312}}
//	{"type":"end","feed":1,"error":{…}}      without error: the regular end
//
// Every items and every lagged costs one credit. Without credit the server
// does not read the feed, so that a reader that stands still costs neither
// side memory and holds up no other feed; what it misses is told by the
// backend, as lagged or as a gap in a log. The client grants more with
//
//	{"type":"credit","feed":1,"credit":1}
//
// and ends a feed with {"type":"close","feed":1}. A frame to the server has at
// most [MaxIn] bytes; one from the server is cut at [MaxOut], but holds at
// least one item. Items may arrive after a close, and are dropped.
//
// Both sides ping every [PingEvery] and give up a peer that is not heard for
// [DeadAfter]. A connection that is lost loses nothing: the client opens its
// feeds again on a new one, a watch since the last index that it got, a log
// after the last cursor, samples afresh. A server that goes away closes the
// websocket with status 1001 instead of ending feeds that have no end.
//
// # Attachments
//
// An attachment is a websocket of its own. A failure to start is an HTTP error
// in place of the upgrade. Binary messages are input and output. Text messages
// are [Control]: the client's resize and eof, the server's exit, which is the
// last, and credit of both, in bytes: neither side sends more than it was
// granted, beginning with [AttachWindow].
//
// Text that is not UTF-8 does not survive JSON: its bytes read U+FFFD. The raw
// bytes of a log are a blob.
package wire

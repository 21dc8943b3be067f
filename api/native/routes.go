package native

import (
	"context"
	"net/http"
	"reflect"

	"pitwall/api/httpx"
	"pitwall/backend"
	"pitwall/backend/wire"
)

// route is one line of the API: what is served and what its description says.
type route struct {
	method, path string
	summary      string
	query        reflect.Type // of the parameter q, nil for none
	body, reply  reflect.Type // nil for bytes and websockets
	serve        http.HandlerFunc
}

// table lists the routes.
func (h *Handler) table() []route {
	routes := []route{
		listing(h, wire.Apps, "Apps, worst first.", backend.Backend.Apps),
		listing(h, wire.Instances, "Instances by app, process and index.", backend.Backend.Instances),
		listing(h, wire.Jobs, "Jobs by name.", backend.Backend.Jobs),
		listing(h, wire.Runs, "Runs of instances and jobs, newest first.", backend.Backend.Runs),
		listing(h, wire.Releases, "An app's releases, newest first.", backend.Backend.Releases),
		listing(h, wire.Loggers, "An app's loggers and their levels.", backend.Backend.Loggers),
		listing(h, wire.Operations, "Operations, newest first.", backend.Backend.Operations),
		listing(h, wire.Events, "Events that are kept, newest first.", backend.Backend.Events),
		listing(h, wire.Nodes, "Machines, the server's own first.", backend.Backend.Nodes),
		listing(h, wire.Documents, "Documents of a kind.", backend.Backend.Documents),
	}
	return append(
		routes,
		route{
			method: "POST", path: wire.Prefix + "/do/{verb}", summary: "Carries out a command.",
			reply: reflect.TypeFor[wire.Result](), serve: h.do,
		},
		route{method: "GET", path: wire.BlobsPath + "/{kind}/{id}", summary: "Stored bytes.", serve: h.open},
		route{
			method: "POST", path: wire.BlobsPath, summary: "Stores a bundle, the body as it is.",
			reply: reflect.TypeFor[backend.BlobRef](), serve: h.put,
		},
		route{method: "GET", path: wire.FeedsPath, summary: "The websocket of feeds.", serve: h.serveFeeds},
		route{
			method: "GET", path: wire.AttachPath, summary: "The websocket of one attachment.",
			query: reflect.TypeFor[backend.AttachSpec](), serve: h.attach,
		},
		route{method: "GET", path: wire.OpenAPIPath, summary: "This description.", serve: h.openAPI},
	)
}

// listing makes the route of one listing.
func listing[Q, T any](h *Handler, name, summary string, call func(backend.Backend, context.Context, Q) (backend.List[T], error)) route {
	return route{
		method: "GET", path: wire.Prefix + "/" + name, summary: summary,
		query: reflect.TypeFor[Q](), reply: reflect.TypeFor[backend.List[T]](),
		serve: func(w http.ResponseWriter, r *http.Request) {
			q, err := query[Q](r)
			if err != nil {
				WriteError(w, err)
				return
			}
			list, err := call(h.cfg.Backend, r.Context(), q)
			if err != nil {
				WriteError(w, err)
				return
			}
			if list.Items == nil {
				list.Items = []T{}
			}
			httpx.WriteJSON(w, http.StatusOK, list)
		},
	}
}

// do serves a command.
func (h *Handler) do(w http.ResponseWriter, r *http.Request) {
	body, err := httpx.ReadBody(w, r)
	if err != nil {
		WriteError(w, err)
		return
	}
	if len(body) == 0 {
		body = []byte("{}")
	}
	c, err := backend.DecodeCommand(r.PathValue("verb"), body)
	if err != nil {
		WriteError(w, err)
		return
	}
	intent := backend.IntentOf(c)
	if key := r.Header.Get(wire.KeyHeader); key != "" {
		if intent.Key != "" && intent.Key != key {
			WriteError(w, backend.Errorf(backend.Invalid, "the header %s and the field key differ", wire.KeyHeader))
			return
		}
		intent.Key = key
	}
	if intent.Source == "" {
		intent.Source = "api"
	}
	result, err := h.cfg.Backend.Do(r.Context(), backend.WithIntent(c, intent))
	if err != nil {
		WriteError(w, err)
		return
	}
	httpx.WriteJSON(w, http.StatusOK, wire.EncodeResult(result))
}

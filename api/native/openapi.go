package native

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"pitwall/api/httpx"
	"pitwall/backend"
	"pitwall/backend/wire"
)

// object is a piece of the OpenAPI document.
type object = map[string]any

// openAPI serves the description of the routes, made from their table.
func (h *Handler) openAPI(w http.ResponseWriter, _ *http.Request) {
	doc, err := h.describe()
	if err != nil {
		WriteError(w, err)
		return
	}
	httpx.WriteJSON(w, http.StatusOK, doc)
}

// describe makes the OpenAPI 3.1 document.
func (h *Handler) describe() (object, error) {
	d := &description{schemas: object{}}
	paths := object{}
	for _, r := range h.routes {
		for _, one := range expand(r) {
			at, _ := paths[one.path].(object)
			if at == nil {
				at = object{}
				paths[one.path] = at
			}
			operation, err := d.operation(one)
			if err != nil {
				return nil, err
			}
			at[strings.ToLower(one.method)] = operation
		}
	}
	if _, err := d.schema(reflect.TypeFor[wire.ErrorBody]()); err != nil {
		return nil, err
	}
	return object{
		"openapi": "3.1.0",
		"info":    object{"title": "Pitwall", "version": h.cfg.Version},
		"paths":   paths,
		"components": object{
			"schemas":         d.schemas,
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer"}},
		},
		"security": []object{{"token": []string{}}},
	}, nil
}

// expand makes a route of every command out of the one that takes them all.
func expand(r route) []route {
	before, ok := strings.CutSuffix(r.path, "{verb}")
	if !ok {
		return []route{r}
	}
	commands := backend.Commands()
	var out []route
	for _, verb := range slices.Sorted(maps.Keys(commands)) {
		one := r
		one.path = before + verb
		one.body = reflect.TypeOf(commands[verb])
		one.summary = "The command " + verb + "."
		out = append(out, one)
	}
	return out
}

// description collects the schemas that the document refers to.
type description struct {
	schemas object
}

var pathParameter = regexp.MustCompile(`\{([a-z]+)\}`)

// operation describes one route.
func (d *description) operation(r route) (object, error) {
	parameters := []object{}
	for _, m := range pathParameter.FindAllStringSubmatch(r.path, -1) {
		parameters = append(parameters, object{"name": m[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	if r.query != nil {
		ref, err := d.schema(r.query)
		if err != nil {
			return nil, err
		}
		parameters = append(parameters, object{
			"name": "q", "in": "query", "description": "The query as JSON.",
			"content": object{"application/json": object{"schema": ref}},
		})
	}
	reply := object{"description": "It was done."}
	if r.reply != nil {
		ref, err := d.schema(r.reply)
		if err != nil {
			return nil, err
		}
		reply["content"] = object{"application/json": object{"schema": ref}}
	}
	out := object{
		"summary": r.summary, "parameters": parameters,
		"responses": object{
			"200": reply,
			"default": object{
				"description": "A failure; the status is that of its code.",
				"content":     object{"application/json": object{"schema": object{"$ref": "#/components/schemas/ErrorBody"}}},
			},
		},
	}
	if r.body != nil {
		ref, err := d.schema(r.body)
		if err != nil {
			return nil, err
		}
		out["requestBody"] = object{"content": object{"application/json": object{"schema": ref}}}
	}
	return out, nil
}

// schema returns a reference to the schema of a type.
func (d *description) schema(t reflect.Type) (object, error) {
	name := schemaName(t)
	ref := object{"$ref": "#/components/schemas/" + name}
	if _, ok := d.schemas[name]; ok {
		return ref, nil
	}
	text := &jsonschema.Schema{Type: "string"}
	schema, err := jsonschema.ForType(t, &jsonschema.ForOptions{
		IgnoreInvalidTypes: true,
		TypeSchemas: map[reflect.Type]*jsonschema.Schema{
			reflect.TypeFor[backend.Duration]():  text,
			reflect.TypeFor[backend.Secret]():    text,
			reflect.TypeFor[json.RawMessage]():   {},
			reflect.TypeFor[[]json.RawMessage](): {Type: "array"},
			reflect.TypeFor[[]byte]():            {Type: "string", ContentEncoding: "base64"},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("describe %s: %w", t, err)
	}
	d.schemas[name] = schema
	return ref, nil
}

var listName = regexp.MustCompile(`^List\[.*\.([A-Za-z]+)\]$`)

// schemaName is a type's name, "AppList" for backend.List[backend.App].
func schemaName(t reflect.Type) string {
	if m := listName.FindStringSubmatch(t.Name()); m != nil {
		return m[1] + "List"
	}
	return t.Name()
}

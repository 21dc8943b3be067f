package local

import (
	"bytes"
	"context"
	"fmt"

	"pitwall/backend"
)

// maxDocument bounds a document: it is kept in memory and in every event.
const maxDocument = 1 << 20

// documentOf reads the present version of a document; the version is 0 when
// there is none.
func (b *Backend) documentOf(d backend.Document) (backend.Document, error) {
	list, err := b.store.Documents(context.Background(), backend.DocumentQuery{Scope: d.Scope, Kind: d.Kind, Names: []string{d.Name}})
	if err != nil || len(list.Items) == 0 {
		return backend.Document{}, err
	}
	return list.Items[0], nil
}

func validDocument(d backend.Document) (backend.Document, error) {
	d.Scope = d.Scope.OrDefault()
	switch {
	case d.Kind == "" || d.Name == "":
		return d, backend.Errorf(backend.Invalid, "a document needs a kind and a name")
	case len(d.Kind) > 200 || len(d.Name) > 200:
		return d, backend.Errorf(backend.Invalid, "a document's kind and name have at most 200 characters")
	case len(d.Body) > maxDocument:
		return d, backend.Errorf(backend.Exhausted, "the document %s has more than %d bytes", d.Name, maxDocument)
	}
	return d, nil
}

func (b *Backend) planPutDocument(cmd backend.PutDocument) (plan, error) {
	doc, err := validDocument(cmd.Document)
	if err != nil {
		return plan{}, err
	}
	p := plan{kind: "put-document", target: doc.Ref(), scope: doc.Scope}
	p.begin = func(c *change, op *operation) error {
		old, err := b.documentOf(doc)
		if err != nil {
			return err
		}
		if doc.Version != 0 && doc.Version != old.Version {
			return backend.Errorf(backend.Conflict, "%s %s has version %d by now, not %d: read it again", doc.Kind, doc.Name, old.Version, doc.Version)
		}
		now := doc
		now.Version, now.Updated, now.Author, now.Body = old.Version+1, c.now, op.author, bytes.Clone(doc.Body)
		if err := c.PutDocument(now); err != nil {
			return err
		}
		kind := backend.EventUpdated
		if old.Version == 0 {
			kind = backend.EventCreated
		}
		return c.announce(backend.Event{Kind: kind, Ref: now.Ref(), Scope: now.Scope, Document: &now},
			[]message{{backend.LevelInfo, fmt.Sprintf("%s %s has version %d by %s", now.Kind, now.Name, now.Version, op.author)}})
	}
	return p, nil
}

func (b *Backend) planDeleteDocument(cmd backend.DeleteDocument) (plan, error) {
	doc, err := validDocument(backend.Document{Kind: cmd.Kind, Name: cmd.Name, Scope: cmd.Scope})
	if err != nil {
		return plan{}, err
	}
	p := plan{kind: "delete-document", target: doc.Ref(), scope: doc.Scope}
	p.begin = func(c *change, op *operation) error {
		old, err := b.documentOf(doc)
		if err != nil {
			return err
		}
		if old.Version == 0 {
			return backend.Errorf(backend.NotFound, "there is no %s %s", doc.Kind, doc.Name)
		}
		if err := c.DeleteDocument(old); err != nil {
			return err
		}
		return c.announce(backend.Event{Kind: backend.EventDeleted, Ref: old.Ref(), Scope: old.Scope, Document: &old},
			[]message{{backend.LevelInfo, fmt.Sprintf("%s %s was deleted by %s", old.Kind, old.Name, op.author)}})
	}
	return p, nil
}

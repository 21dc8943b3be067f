package main

import (
	"context"
	"fmt"
	"log/slog"

	"pitwall/backend/guard"
	"pitwall/backend/sqlite"
)

// refusals writes down what guard refused.
type refusals struct {
	store *sqlite.Store
	log   *slog.Logger
}

// Refused implements [guard.Auditor].
func (r refusals) Refused(ctx context.Context, no guard.Refusal) {
	row := sqlite.Audit{
		Attribution: no.Attribution, Verb: no.Op,
		Target: no.Need.Ref.String(), Outcome: string(no.Code),
		Reason: fmt.Sprintf("%d times since %s, lacking %q", no.Count, no.First.UTC().Format("15:04:05"), no.Need.Permission),
	}
	// The caller may have gone, and is written down all the same.
	err := r.store.Update(context.WithoutCancel(ctx), func(tx *sqlite.Tx) error { return tx.Audit(row) })
	if err != nil {
		r.log.Error("write down a refusal", "err", err, "verb", no.Op, "principal", no.Attribution.Principal.Name)
	}
}

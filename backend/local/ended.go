package local

import (
	"context"
	"fmt"

	"pitwall/backend"
	"pitwall/backend/sqlite"
)

// endInstance lets go of an instance that has ended for good: the engine
// forgets it, its record and log are kept for a while.
func (b *Backend) endInstance(ctx context.Context, m sqlite.Instance) error {
	in := m.Instance
	if in.JobID == "" || m.Canceled && in.Run == 0 {
		if err := b.eng.Remove(ctx, in.ID); err != nil && backend.CodeOf(err) != backend.NotFound {
			return fmt.Errorf("remove %s: %w", in.ID, err)
		}
	}
	if b.cfg.Logs != nil {
		b.cfg.Logs.End(in.ID)
	}
	err := b.change(ctx, cause{}, func(c *change) error {
		if d := c.instance(in.ID); d != nil {
			d.now.Ended = true
		}
		for key := range b.levels {
			if key.instance == in.ID {
				c.levels[key] = nil
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return b.trimEnded(ctx, m)
}

// keepEnded is how many instances that were replaced are kept of an app, for
// their logs.
const keepEnded = 20

// trimEnded forgets the oldest of an owner's ended instances. A job's take
// their files, runs and log with them.
func (b *Backend) trimEnded(ctx context.Context, m sqlite.Instance) error {
	ended, err := b.store.EndedInstances(ctx, m.Owner())
	if err != nil {
		return err
	}
	b.mu.RLock()
	keep := keepEnded
	if j, ok := b.jobs[m.Instance.JobID]; ok {
		keep = keepOf(j.Job.Spec)
	}
	b.mu.RUnlock()
	if len(ended) <= keep {
		return nil
	}
	for _, old := range ended[:len(ended)-keep] {
		if err := b.dropEnded(ctx, old); err != nil {
			return err
		}
	}
	return nil
}

func (b *Backend) dropEnded(ctx context.Context, old sqlite.Instance) error {
	id := old.Instance.ID
	if old.Instance.JobID != "" {
		if err := b.eng.Remove(ctx, id); err != nil && backend.CodeOf(err) != backend.NotFound {
			return fmt.Errorf("remove %s: %w", id, err)
		}
		if b.cfg.Logs != nil {
			if err := b.cfg.Logs.Forget(id); err != nil {
				b.log.Warn("forget a log", "instance", id, "err", err)
			}
		}
	}
	return b.store.Update(ctx, func(tx *sqlite.Tx) error {
		if old.Instance.JobID != "" {
			if err := tx.DeleteRuns(id); err != nil {
				return err
			}
		}
		return tx.DeleteInstance(id)
	})
}

package logstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"pitwall/backend"
	"pitwall/backend/logstore/segment"
)

// The policy of an owner that sets none.
const (
	defaultMaxBytes = 256 << 20
	defaultMaxAge   = 7 * 24 * time.Hour
)

// kept is a segment that retention may remove.
type kept struct {
	log *keptLog
	segment.Info
	until int64 // when the segment after it was begun: it holds nothing later
}

// keptLog is the log of one instance while retention looks at it.
type keptLog struct {
	in     *instance
	src    Source
	ended  bool
	dir    *segment.Dir
	infos  []segment.Info
	bytes  int64
	next   uint64 // the line that comes after those
	newest int64
}

// Retain applies each owner's policy: the oldest segments of all its instances
// go, whole, until its logs are within bounds. The segment that is written
// stays. The folder of an instance that has ended goes once all its lines are
// older than the policy keeps. It goes on after errors and returns them all.
func (s *Store) Retain(ctx context.Context) error {
	s.mu.Lock()
	owners := map[string][]*keptLog{}
	for _, in := range s.instances {
		in.mu.Lock()
		l := &keptLog{in: in, src: in.src, ended: in.ended}
		in.mu.Unlock()
		owners[l.src.owner()] = append(owners[l.src.owner()], l)
	}
	s.mu.Unlock()
	var errs []error
	for _, logs := range owners {
		if err := ctx.Err(); err != nil {
			return err
		}
		errs = append(errs, s.retainOwner(logs))
	}
	return errors.Join(errs...)
}

// retainOwner applies a policy to the logs of one app or job.
func (s *Store) retainOwner(logs []*keptLog) error {
	defer func() {
		for _, l := range logs {
			if l.dir != nil {
				l.dir.Close()
			}
		}
	}()
	var errs []error
	var segments []kept
	total := int64(0)
	for _, l := range logs {
		some, err := l.list()
		errs = append(errs, err)
		segments = append(segments, some...)
		total += l.bytes
	}
	maxBytes, oldest := limits(logs, s.now())
	slices.SortFunc(segments, func(a, b kept) int {
		return cmp.Or(cmp.Compare(a.until, b.until), cmp.Compare(a.log.src.Instance, b.log.src.Instance), cmp.Compare(a.Number, b.Number))
	})
	for _, k := range segments {
		if total <= maxBytes && k.until >= oldest {
			break
		}
		if err := k.log.dir.Remove(k.Number); err != nil {
			errs = append(errs, fmt.Errorf("log of %s: %w", k.log.src.Instance, err))
			continue
		}
		total -= k.Size
		k.log.bytes -= k.Size
	}
	slices.SortFunc(logs, func(a, b *keptLog) int { return cmp.Compare(a.newest, b.newest) })
	for _, l := range logs {
		if l.ended && l.dir != nil && (total > maxBytes || l.newest < oldest) {
			total -= l.bytes
			errs = append(errs, l.remove())
		}
		l.note()
	}
	return errors.Join(errs...)
}

// limits are the strictest bounds that the owner's instances name.
func limits(logs []*keptLog, now time.Time) (maxBytes, oldest int64) {
	policy := backend.LogPolicy{}
	for _, l := range logs {
		p := l.src.Policy
		if p.MaxBytes > 0 && (policy.MaxBytes == 0 || p.MaxBytes < policy.MaxBytes) {
			policy.MaxBytes = p.MaxBytes
		}
		if p.MaxAge > 0 && (policy.MaxAge == 0 || p.MaxAge < policy.MaxAge) {
			policy.MaxAge = p.MaxAge
		}
	}
	if policy.MaxBytes == 0 {
		policy.MaxBytes = defaultMaxBytes
	}
	if policy.MaxAge == 0 {
		policy.MaxAge = backend.Duration(defaultMaxAge)
	}
	return policy.MaxBytes, now.Add(-policy.MaxAge.Std()).UnixNano()
}

// list reads which segments there are; the last one is not among those
// returned.
func (l *keptLog) list() ([]kept, error) {
	dir, err := segment.OpenDir(l.src.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	l.dir = dir
	if l.infos, err = dir.Segments(); err != nil {
		return nil, fmt.Errorf("log of %s: %w", l.src.Instance, err)
	}
	var out []kept
	for i, info := range l.infos {
		l.bytes += info.Size
		if i+1 < len(l.infos) {
			out = append(out, kept{log: l, Info: info, until: l.infos[i+1].Created})
		}
	}
	b, err := dir.Bounds()
	if err != nil {
		return out, fmt.Errorf("log of %s: %w", l.src.Instance, err)
	}
	l.next, l.newest = b.Next, b.Time
	return out, nil
}

// remove removes the folder of an instance that has ended.
func (l *keptLog) remove() error {
	l.in.mu.Lock()
	defer l.in.mu.Unlock()
	if !l.in.ended {
		return nil // it has begun again meanwhile
	}
	if err := removeLog(l.src.Dir); err != nil {
		return fmt.Errorf("remove log of %s: %w", l.src.Instance, err)
	}
	l.bytes = 0
	l.in.primed, l.in.st = false, state{}
	return nil
}

// removeLog removes a log's folder, and the one around it if the log was the last
// that an instance left.
func removeLog(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	os.Remove(filepath.Dir(dir)) // refused where anything else is in it
	return nil
}

// note keeps what the log takes now.
func (l *keptLog) note() {
	l.in.mu.Lock()
	defer l.in.mu.Unlock()
	l.in.bytes, l.in.sized = l.bytes, l.next
}

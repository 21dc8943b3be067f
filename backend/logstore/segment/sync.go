package segment

import (
	"errors"
	"os"
	"time"
)

// synced applies the sync policy after a write. The caller holds the mutex.
func (w *Writer) synced() error {
	if !w.dirty {
		return nil
	}
	switch w.opts.Sync {
	case SyncNever:
		w.dirty = false
		return nil
	case SyncAlways:
		w.dirty = false
		return syncAll(w.raw[Out], w.raw[Err], w.idx)
	}
	w.schedule()
	return nil
}

// schedule has the dirty bytes synced, unless a sync is due or under way: on a
// disk that hangs, only one waits.
func (w *Writer) schedule() {
	if w.timer == nil && !w.syncing {
		w.retired.Add(1)
		w.timer = time.AfterFunc(w.opts.SyncEvery, w.syncLater)
	}
}

// syncLater forces the bytes of one interval to the disk. It works outside the
// mutex: a slow disk must not hold up the bytes that come meanwhile. There is
// no timer while nothing is dirty.
func (w *Writer) syncLater() {
	defer w.retired.Done()
	w.mu.Lock()
	files := []*os.File{w.raw[Out], w.raw[Err], w.idx}
	w.timer, w.dirty, w.syncing = nil, false, true
	w.mu.Unlock()
	err := syncAll(files...)
	if errors.Is(err, os.ErrClosed) {
		err = nil // rolled meanwhile; the roll syncs what it retires
	}
	w.mu.Lock()
	w.syncErr, w.syncing = err, false
	if w.dirty && !w.closing {
		w.schedule()
	}
	w.mu.Unlock()
}

// retire syncs and closes the files of a finished segment in the background.
func (w *Writer) retire(files []*os.File) {
	if files[0] == nil {
		return
	}
	w.retired.Add(1)
	go func() {
		defer w.retired.Done()
		if w.opts.Sync != SyncNever {
			syncAll(files...)
		}
		for _, f := range files {
			f.Close()
		}
		if d, err := w.dir.Open("."); err == nil && w.opts.Sync != SyncNever {
			d.Sync()
			d.Close()
		}
	}()
}

// Sync forces everything that was committed to the disk now.
func (w *Writer) Sync() error {
	w.mu.Lock()
	files := []*os.File{w.raw[Out], w.raw[Err], w.idx}
	w.mu.Unlock()
	return syncAll(files...)
}

// Close flushes, syncs and closes the log and gives up its lock. Records that
// the disk still refuses are lost with their bytes kept: the next
// [OpenWriter] recovers those. It also says how the last sync in the background
// failed, if it did.
func (w *Writer) Close() error {
	w.mu.Lock()
	err := w.settle()
	w.closing = true
	if w.timer != nil && w.timer.Stop() {
		w.retired.Done()
		w.timer = nil
	}
	w.mu.Unlock()
	w.retired.Wait()
	err = errors.Join(err, w.syncErr)
	if w.opts.Sync != SyncNever {
		err = errors.Join(err, w.Sync())
	}
	for _, f := range []*os.File{w.raw[Out], w.raw[Err], w.idx, w.lock} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return errors.Join(err, w.dir.Close())
}

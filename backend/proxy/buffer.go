package proxy

import "sync"

// bufferSize is what one read moves: more brings nothing over loopback.
const bufferSize = 32 << 10

// bufferPool lends the buffers of all copying. Its zero value is ready.
type bufferPool struct{ pool sync.Pool }

// take lends a buffer until put.
func (p *bufferPool) take() *[bufferSize]byte {
	if b, ok := p.pool.Get().(*[bufferSize]byte); ok {
		return b
	}
	return new([bufferSize]byte)
}

func (p *bufferPool) put(b *[bufferSize]byte) { p.pool.Put(b) }

// Get and Put make it an httputil.BufferPool.
func (p *bufferPool) Get() []byte  { return p.take()[:] }
func (p *bufferPool) Put(b []byte) { p.put((*[bufferSize]byte)(b)) }

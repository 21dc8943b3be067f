package backend

// Node is a machine that runs instances. The first of a listing is the one
// that the server runs on.
type Node struct {
	ID      string `json:"id"` // boot id
	Name    string `json:"name"`
	State   string `json:"state"`  // ready, degraded
	Reason  string `json:"reason"` // why it is degraded
	Engine  string `json:"engine"` // process
	Version string `json:"version"`
	PID     int    `json:"pid,omitempty"` // of the server
	Started Time   `json:"started"`       // of the server

	Context   string   `json:"context"` // the server's name, shown in the header
	StateDir  string   `json:"stateDir,omitempty"`
	Addresses []string `json:"addresses,omitempty"`
	Demo      bool     `json:"demo,omitempty"`

	CPUs       int     `json:"cpus"`
	Load       float64 `json:"load"`
	Memory     int64   `json:"memory"`
	MemoryFree int64   `json:"memoryFree"`
	Disk       int64   `json:"disk"`
	DiskFree   int64   `json:"diskFree"`
	Instances  int     `json:"instances"`
	Cgroup     string  `json:"cgroup"` // v2, v1, none
}

// Ref names the node.
func (n Node) Ref() Ref { return Ref{KindNode, n.ID, n.Name} }

// NodeQuery selects nodes.
type NodeQuery struct {
	Page Page `json:"page,omitzero"`
}

// Document is a stored text that only one dialect or feature reads.
type Document struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	Scope
	Version int    `json:"version"` // from 1, one up for each change
	Body    []byte `json:"body"`
	Updated Time   `json:"updated"`
	Author  string `json:"author"`
}

// Ref names the document.
func (d Document) Ref() Ref { return Ref{KindDocument, d.Kind + "/" + d.Name, d.Kind + " " + d.Name} }

// DocumentQuery selects documents of a kind.
type DocumentQuery struct {
	Scope
	Kind  string   `json:"kind"`
	Names []string `json:"names,omitempty"`
	Page  Page     `json:"page,omitzero"`
}

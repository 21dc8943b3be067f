package backend

// Sample is what was measured of one resource at one time. It bumps no index
// and is not kept.
type Sample struct {
	Ref  Ref  `json:"ref"`
	Time Time `json:"time"`

	CPU         float64 `json:"cpu"` // a fraction of a core
	RSS         int64   `json:"rss"` // bytes
	FDs         int     `json:"fds,omitempty"`
	Processes   int     `json:"processes,omitempty"`
	Connections int     `json:"connections"` // open through the edge
	Requests    uint64  `json:"requests"`    // through the edge, since the server started

	ErrorsPerMinute int    `json:"errorsPerMinute"`
	ErrorTrend      []int  `json:"errorTrend,omitempty"`
	LastError       string `json:"lastError,omitempty"`
	LastErrorAt     Time   `json:"lastErrorAt,omitzero"`
	LinesPerSecond  int    `json:"linesPerSecond,omitempty"`
	LogBytes        int64  `json:"logBytes,omitempty"`
}

// SampleQuery selects what is measured: apps and instances by id, or all apps
// when both are empty, or every instance of the apps when Instances is asked.
type SampleQuery struct {
	Apps        []string `json:"apps,omitempty"`
	InstanceIDs []string `json:"instanceIds,omitempty"`
	Instances   bool     `json:"instances,omitempty"` // of Apps too
	// Interval is the least time between two samples of one resource; 0
	// means 2 seconds.
	Interval Duration `json:"interval,omitempty"`
}

package backend

// DefaultLogger is the name of the level that every logger without its own
// has.
const DefaultLogger = "default"

// Logger is one named source of lines inside an app's program.
type Logger struct {
	AppID string `json:"appId"`
	App   string `json:"app"`
	Name  string `json:"name"`
	Level Level  `json:"level"` // for the whole app; empty inherits the default
	// Instances has the levels that differ, by instance id.
	Instances map[string]Level `json:"instances,omitempty"`
	// Until is when the level goes back to Was by itself.
	Until Time  `json:"until,omitzero"`
	Was   Level `json:"was,omitempty"`
	// Announced says that the program itself named this logger.
	Announced bool `json:"announced,omitempty"`
}

// Ref names the logger.
func (l Logger) Ref() Ref { return Ref{KindLogger, l.AppID + "/" + l.Name, l.App + " " + l.Name} }

// LoggerQuery selects an app's loggers.
type LoggerQuery struct {
	App  string `json:"app"` // id
	Page Page   `json:"page,omitzero"`
}

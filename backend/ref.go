package backend

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Time is a point in time; on the wire RFC 3339 in UTC.
type Time = time.Time

// Kind is the kind of a resource.
type Kind string

// The kinds of resources.
const (
	KindApp       Kind = "app"
	KindInstance  Kind = "instance"
	KindJob       Kind = "job"
	KindRun       Kind = "run"
	KindRelease   Kind = "release"
	KindOperation Kind = "operation"
	KindLogger    Kind = "logger"
	KindNode      Kind = "node"
	KindDocument  Kind = "document"
	KindServer    Kind = "server"
)

// Ref names one resource: by ID to the program, by Name to a person.
type Ref struct {
	Kind Kind   `json:"kind,omitempty"`
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

// String returns the kind and name.
func (r Ref) String() string {
	if r.Name == "" {
		return string(r.Kind) + " " + r.ID
	}
	return string(r.Kind) + " " + r.Name
}

// DefaultTeam and DefaultSpace are the scope of what names none.
const (
	DefaultTeam  = "default"
	DefaultSpace = "default"
)

// Scope is who owns a thing and where it lives. Names are unique in a scope.
// In a query an empty field means any.
type Scope struct {
	Team  string `json:"team,omitempty"`
	Space string `json:"space,omitempty"`
}

// OrDefault returns s with empty fields set to the defaults.
func (s Scope) OrDefault() Scope {
	if s.Team == "" {
		s.Team = DefaultTeam
	}
	if s.Space == "" {
		s.Space = DefaultSpace
	}
	return s
}

// Contains reports whether t lies in s, an empty field of s meaning any.
func (s Scope) Contains(t Scope) bool {
	return (s.Team == "" || s.Team == t.Team) && (s.Space == "" || s.Space == t.Space)
}

// Qualify returns "team/space/name".
func (s Scope) Qualify(name string) string {
	return s.Team + "/" + s.Space + "/" + name
}

// ParseName splits "name" or "team/space/name". The scope is zero for a bare
// name. It fails with Invalid for anything else.
func ParseName(s string) (Scope, string, error) {
	switch parts := strings.Split(s, "/"); len(parts) {
	case 1:
		return Scope{}, s, ValidName(s)
	case 3:
		for _, part := range parts {
			if err := ValidName(part); err != nil {
				return Scope{}, "", err
			}
		}
		return Scope{Team: parts[0], Space: parts[1]}, parts[2], nil
	}
	return Scope{}, "", Errorf(Invalid, "%q is not a name: write NAME or TEAM/SPACE/NAME", s)
}

// MaxName is the longest name, in bytes: with process, index and suffix it
// still fits a DNS label.
const MaxName = 40

var namePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// ValidName fails with Invalid and a sentence when s cannot name an app, a
// process, a job, a team or a space.
func ValidName(s string) error {
	switch {
	case s == "":
		return Errorf(Invalid, "a name is empty")
	case len(s) > MaxName:
		return Errorf(Invalid, "the name %q is longer than %d characters", s[:MaxName]+"…", MaxName)
	case !namePattern.MatchString(s):
		return Errorf(Invalid, "the name %q may have only a-z, 0-9 and - inside", s)
	}
	return nil
}

// InstanceName returns how people write an instance: "main.0".
func InstanceName(process string, index int) string {
	return fmt.Sprintf("%s.%d", process, index)
}

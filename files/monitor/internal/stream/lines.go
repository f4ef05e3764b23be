package stream

import (
	"nanoagent.io/monitor/internal/facts"
	"nanoagent.io/monitor/internal/watcher"
)

// What happened to an object.
const (
	Present = "present" // it was there when the stream began
	Added   = "added"
	Changed = "changed"
	Removed = "removed"
)

// Line is one object's change, or its presence.
type Line struct {
	Type            string            `json:"type"` // object
	Time            string            `json:"time"`
	Cluster         string            `json:"cluster,omitempty"`
	Tags            map[string]string `json:"tags,omitempty"`
	Change          string            `json:"change"`
	Replayed        bool              `json:"replayed,omitempty"`
	APIVersion      string            `json:"api_version"`
	Kind            string            `json:"kind"`
	Namespace       string            `json:"namespace,omitempty"`
	Name            string            `json:"name"`
	UID             string            `json:"uid"`
	ResourceVersion string            `json:"resource_version"`
	Created         string            `json:"created,omitempty"`
	Owners          []watcher.Owner   `json:"owners,omitempty"`
	Workload        *watcher.Owner    `json:"workload,omitempty"`
	By              *facts.Author     `json:"by,omitempty"`
	Changed         []string          `json:"changed,omitempty"`
	Facts           facts.Facts       `json:"facts"`
}

// mark is a line about the stream itself.
type mark struct {
	Type     string            `json:"type"` // snapshot, coverage, standby
	Phase    string            `json:"phase,omitempty"`
	Time     string            `json:"time"`
	Cluster  string            `json:"cluster,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`
	Monitor  string            `json:"monitor"`
	Reason   string            `json:"reason,omitempty"`
	Previous *Previous         `json:"previous,omitempty"`
	Replayed *int              `json:"replayed,omitempty"`
	Lost     int               `json:"lost,omitempty"`
	Watched  []string          `json:"watched,omitempty"`
	Missing  map[string]string `json:"missing,omitempty"`
	Objects  map[string]int    `json:"objects,omitempty"`
}

// Previous is who spoke before, and until when at least.
type Previous struct {
	Monitor string `json:"monitor"`
	Renewed string `json:"renewed"`
}

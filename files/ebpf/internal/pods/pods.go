// Package pods finds the names of pods and containers in the names of the
// kubelet's log files. It reads directories, never a file, and asks no API.
package pods

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// Entries bounds how many names of a directory are read.
	Entries           = 16384
	containerIDLength = 64
)

// Names are the Kubernetes names of a container.
type Names struct {
	Namespace string
	Pod       string
	Container string // empty when only the pod is known
}

// Directory is the kubelet's log directory with what was last read from it.
type Directory struct {
	root       string
	lastRead   time.Time
	containers map[string]Names
	pods       map[string]Names
}

// New takes the directory that holds "pods" and "containers".
func New(root string) *Directory {
	return &Directory{root: root}
}

// Present reports whether there is such a directory at all.
func (d *Directory) Present() bool {
	info, err := os.Stat(filepath.Join(d.root, "pods"))
	return err == nil && info.IsDir()
}

// Refresh reads the directories again unless that was done within interval.
func (d *Directory) Refresh(now time.Time, interval time.Duration) {
	if !d.lastRead.IsZero() && now.Sub(d.lastRead) < interval {
		return
	}
	d.lastRead = now
	d.containers = make(map[string]Names)
	for _, name := range list(filepath.Join(d.root, "containers")) {
		if id, names, ok := parseLink(name); ok {
			d.containers[id] = names
		}
	}
	d.pods = make(map[string]Names)
	for _, name := range list(filepath.Join(d.root, "pods")) {
		if uid, names, ok := parsePod(name); ok {
			d.pods[uid] = names
		}
	}
}

// Lookup finds names by container id, or else the pod's by its uid. Complete
// is false while the container's own name is missing.
func (d *Directory) Lookup(container, uid string) (names Names, complete bool) {
	if names, ok := d.containers[container]; ok {
		return names, true
	}
	return d.pods[uid], false
}

// parseLink reads "<pod>_<namespace>_<container>-<id>.log".
func parseLink(name string) (string, Names, bool) {
	stem, ok := strings.CutSuffix(name, ".log")
	at := len(stem) - containerIDLength - 1
	if !ok || at <= 0 || stem[at] != '-' {
		return "", Names{}, false
	}
	parts := strings.Split(stem[:at], "_")
	if len(parts) != 3 {
		return "", Names{}, false
	}
	return stem[at+1:], Names{Namespace: parts[1], Pod: parts[0], Container: parts[2]}, true
}

// parsePod reads "<namespace>_<pod>_<uid>".
func parsePod(name string) (string, Names, bool) {
	parts := strings.Split(name, "_")
	if len(parts) != 3 {
		return "", Names{}, false
	}
	return parts[2], Names{Namespace: parts[0], Pod: parts[1]}, true
}

// list gives what it can: a directory that is missing or not readable is as
// good as an empty one, the caller then has no names.
func list(directory string) []string {
	handle, err := os.Open(directory)
	if err != nil {
		return nil
	}
	defer handle.Close()
	names, _ := handle.Readdirnames(Entries)
	return names
}

// Package cgroup reads containers and pods out of cgroup paths.
package cgroup

import "strings"

const containerIDLength = 64

// Place is what a cgroup path tells about the processes in it.
type Place struct {
	Container string // 64 hexadecimal digits, empty outside containers
	PodUID    string // empty outside pods
}

// Parse reads a path from the root of the hierarchy. In a pod its own
// container counts, also for a container that runs inside that one: the
// kubelet knows only the outer. Elsewhere the innermost counts.
func Parse(path string) Place {
	var place Place
	// A runtime that was set up for systemd but does not use it joins slice,
	// prefix and id by colons.
	for name := range strings.FieldsFuncSeq(path, func(c rune) bool { return c == '/' || c == ':' }) {
		if uid, ok := podUID(name); ok {
			place = Place{PodUID: uid}
		} else if id, ok := containerID(name); ok && (place.PodUID == "" || place.Container == "") {
			place.Container = id
		}
	}
	return place
}

// podUID reads "pod<uid>" and "kubepods-burstable-pod<uid>.slice", where
// systemd wants underscores for dashes.
func podUID(name string) (string, bool) {
	if slice, ok := strings.CutSuffix(name, ".slice"); ok {
		at := strings.LastIndex(slice, "-pod")
		if at < 0 {
			return "", false
		}
		name = strings.ReplaceAll(slice[at+1:], "_", "-")
	}
	uid, ok := strings.CutPrefix(name, "pod")
	if !ok || !isUID(uid) {
		return "", false
	}
	return uid, true
}

// isUID accepts UUIDs and the 32 digit hashes that static pods have.
func isUID(text string) bool {
	digits := 0
	for _, c := range []byte(text) {
		switch {
		case isHex(c):
			digits++
		case c != '-':
			return false
		}
	}
	return digits == 32
}

// containerID reads "<id>", "<runtime>-<id>" and "<runtime>-<id>.scope"; the
// scopes of cri-o's own monitors are no containers.
func containerID(name string) (string, bool) {
	name = strings.TrimSuffix(name, ".scope")
	if len(name) < containerIDLength || strings.HasPrefix(name, "crio-conmon-") {
		return "", false
	}
	prefix, id := name[:len(name)-containerIDLength], name[len(name)-containerIDLength:]
	if prefix != "" && !strings.HasSuffix(prefix, "-") {
		return "", false
	}
	for _, c := range []byte(id) {
		if !isHex(c) {
			return "", false
		}
	}
	return id, true
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f'
}

// NodeRoot gives what stands before the kubelet's own directory in the path
// of one of the node's pods: "" on a machine that is one node, else where in
// the machine's hierarchy this node lives. Paths outside pods give "".
func NodeRoot(path string) string {
	names := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, name := range names {
		if name == "kubepods" || name == "kubepods.slice" {
			return join(names[:i])
		}
		if outer, ok := strings.CutSuffix(name, "-kubepods.slice"); ok {
			return join(names[:withoutSlices(names[:i], outer)])
		}
	}
	return ""
}

// withoutSlices drops the slices that systemd puts around a nested one: the
// parents of a-b-kubepods.slice are a.slice and a-b.slice.
func withoutSlices(names []string, outer string) int {
	end := len(names)
	for end > 0 && outer != "" && names[end-1] == outer+".slice" {
		end--
		outer = outer[:max(strings.LastIndexByte(outer, '-'), 0)]
	}
	return end
}

func join(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "/" + strings.Join(names, "/")
}

// Below reports whether a path is at or below a node root.
func Below(path, root string) bool {
	rest, ok := strings.CutPrefix(path, root)
	return ok && (rest == "" || rest[0] == '/')
}

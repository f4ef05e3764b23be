// Package output writes events as lines of JSON.
package output

import (
	"bytes"
	"strconv"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"nanoagent.io/collector/internal/event"
	"nanoagent.io/collector/internal/identity"
	"nanoagent.io/collector/internal/pods"
)

const timeLayout = "2006-01-02T15:04:05.000000000Z"

// Format has what is the same in every line.
type Format struct {
	boot identity.Boot
	node string // the line's part with node and cluster, ready made
	tags string
}

// NewFormat makes a format. Empty names and tags are left out of the lines.
func NewFormat(boot identity.Boot, node, cluster string, tags map[string]string) *Format {
	var names []byte
	if node != "" {
		names = AppendString(append(names, `,"node":`...), []byte(node))
	}
	if cluster != "" {
		names = AppendString(append(names, `,"cluster":`...), []byte(cluster))
	}
	return &Format{boot: boot, node: string(names), tags: string(appendTags(nil, tags))}
}

func appendTags(to []byte, tags map[string]string) []byte {
	if len(tags) == 0 {
		return to
	}
	before := byte('{')
	to = append(to, `,"tags":`...)
	for _, key := range sortedKeys(tags) {
		to = append(to, before)
		to = AppendString(to, []byte(key))
		to = append(to, ':')
		to = AppendString(to, []byte(tags[key]))
		before = ','
	}
	return append(to, '}')
}

// Begin starts a line of some type, at a Unix time in nanoseconds.
func (f *Format) Begin(to []byte, kind string, unixTime int64) []byte {
	to = append(to, `{"type":"`...)
	to = append(to, kind...)
	to = append(to, `","time":"`...)
	to = time.Unix(0, unixTime).UTC().AppendFormat(to, timeLayout)
	to = append(to, '"')
	return append(to, f.node...)
}

// End finishes a line.
func (f *Format) End(to []byte) []byte {
	to = append(to, f.tags...)
	return append(to, '}', '\n')
}

// Where are the container and pod of an event.
type Where struct {
	Container string
	PodUID    string
	Names     pods.Names
}

// Event writes an event as one line. Offset turns boot time into Unix time.
func (f *Format) Event(to []byte, e *event.Event, where Where, offset int64) []byte {
	to = f.Begin(to, e.Type.String(), int64(e.Time)+offset)
	if !e.Has(event.NoProcess) {
		to = f.appendProcess(to, e)
		to = f.appendParent(to, e)
	}
	to = appendWhere(to, where)
	switch e.Type {
	case event.Exit:
		to = appendExit(to, e.ExitStatus)
	case event.Connect, event.Accept:
		to = f.appendConnection(to, e)
	}
	return f.End(to)
}

func (f *Format) appendProcess(to []byte, e *event.Event) []byte {
	to = append(to, `,"process":{"id":"`...)
	to = f.boot.AppendProcess(to, e.Start, e.PID)
	to = append(to, `","pid":`...)
	to = strconv.AppendUint(to, uint64(e.PID), 10)
	to = append(to, `,"uid":`...)
	to = strconv.AppendUint(to, uint64(e.UID), 10)
	to = append(to, `,"gid":`...)
	to = strconv.AppendUint(to, uint64(e.GID), 10)
	to = append(to, `,"comm":`...)
	to = AppendString(to, e.Comm)
	if e.Type == event.Exec {
		to = appendProgram(to, e)
	}
	return append(to, '}')
}

func appendProgram(to []byte, e *event.Event) []byte {
	var path [4352]byte
	to = append(to, `,"exe":`...)
	to = AppendString(to, event.AppendPath(path[:0], e.Exe, e.Has(event.ExeTruncated)))
	to = append(to, `,"argv":[`...)
	rest := e.Argv
	for n := 0; len(rest) > 0; n++ {
		argument, after, _ := bytes.Cut(rest, []byte{0})
		if n > 0 {
			to = append(to, ',')
		}
		to = AppendString(to, argument)
		rest = after
	}
	to = append(to, ']')
	if e.Has(event.ArgvTruncated) || e.Has(event.ArgvUnreadable) {
		to = append(to, `,"argv_truncated":true`...)
	}
	to = append(to, `,"cwd":`...)
	return AppendString(to, event.AppendPath(path[:0], e.Cwd, e.Has(event.CwdTruncated)))
}

func (f *Format) appendParent(to []byte, e *event.Event) []byte {
	to = append(to, `,"parent":{"id":"`...)
	to = f.boot.AppendProcess(to, e.ParentStart, e.ParentPID)
	to = append(to, `","pid":`...)
	to = strconv.AppendUint(to, uint64(e.ParentPID), 10)
	to = append(to, `,"comm":`...)
	to = AppendString(to, e.ParentComm)
	return append(to, '}')
}

func appendWhere(to []byte, where Where) []byte {
	if where.Container != "" {
		to = append(to, `,"container":{"id":"`...)
		to = append(to, where.Container...)
		to = append(to, '"')
		if where.Names.Container != "" {
			to = AppendString(append(to, `,"name":`...), []byte(where.Names.Container))
		}
		to = append(to, '}')
	}
	if where.PodUID != "" {
		to = append(to, `,"pod":{`...)
		if where.Names.Pod != "" {
			to = AppendString(append(to, `"namespace":`...), []byte(where.Names.Namespace))
			to = AppendString(append(to, `,"name":`...), []byte(where.Names.Pod))
			to = append(to, ',')
		}
		to = append(to, `"uid":"`...)
		to = append(to, where.PodUID...)
		to = append(to, '"', '}')
	}
	return to
}

// appendExit splits a wait status as wait(2) does.
func appendExit(to []byte, status uint32) []byte {
	wait := unix.WaitStatus(status)
	to = append(to, `,"exit":{"code":`...)
	to = strconv.AppendUint(to, uint64(status>>8&0xff), 10)
	if wait.Signaled() {
		to = append(to, `,"signal":`...)
		to = strconv.AppendInt(to, int64(wait.Signal()), 10)
	}
	return append(to, '}')
}

func (f *Format) appendConnection(to []byte, e *event.Event) []byte {
	c := &e.Connection
	opened := e.Time
	if e.Type == event.Connect && c.Opened != 0 {
		opened = c.Opened
	}
	to = append(to, `,"connection":{"id":"`...)
	to = f.boot.AppendProcess(to, opened, uint32(c.Local.Port()))
	if c.Remote.Addr().Is4() {
		to = append(to, `","family":"ipv4","local":"`...)
	} else {
		to = append(to, `","family":"ipv6","local":"`...)
	}
	to = c.Local.AppendTo(to)
	to = append(to, `","remote":"`...)
	to = c.Remote.AppendTo(to)
	to = append(to, '"')
	if c.Error != 0 {
		to = append(to, `,"error":"`...)
		to = append(to, errorName(c.Error)...)
		to = append(to, '"')
	}
	if e.Type == event.Connect && c.Opened != 0 {
		to = append(to, `,"latency_us":`...)
		to = strconv.AppendUint(to, (e.Time-c.Opened)/1000, 10)
	}
	return append(to, '}')
}

func errorName(number uint16) string {
	if number == event.Aborted {
		return "aborted"
	}
	if name := unix.ErrnoName(unix.Errno(number)); name != "" {
		return name
	}
	return "errno " + strconv.Itoa(int(number))
}

const hexDigits = "0123456789abcdef"

// AppendString writes a JSON string. Bytes that are not UTF-8 become the
// replacement character, since JSON has no way to carry them.
func AppendString(to, text []byte) []byte {
	to = append(to, '"')
	for len(text) > 0 {
		plain := plainLength(text)
		to = append(to, text[:plain]...)
		text = text[plain:]
		if len(text) == 0 {
			break
		}
		c, size := utf8.DecodeRune(text)
		switch {
		case c == utf8.RuneError && size == 1:
			to = append(to, `\ufffd`...)
		case c == '"' || c == '\\':
			to = append(to, '\\', byte(c))
		case c < ' ' || c == 0x7f:
			to = append(to, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		case c == '\u2028' || c == '\u2029':
			to = append(to, `\u202`...)
			to = append(to, hexDigits[c&15])
		default:
			to = append(to, text[:size]...)
		}
		text = text[size:]
	}
	return append(to, '"')
}

// plainLength is the number of leading bytes that need no second look.
func plainLength(text []byte) int {
	for i, c := range text {
		if c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return i
		}
	}
	return len(text)
}

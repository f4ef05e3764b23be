// Package event decodes what the eBPF programs hand over through the ring.
package event

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
)

// Type says what happened; the values are those of bpf/events.h.
type Type uint8

// The types of events, and their number plus one.
const (
	Exec Type = iota + 1
	Fork
	Exit
	Connect
	Accept
	Types
)

var names = [Types]string{Exec: "exec", Fork: "fork", Exit: "exit", Connect: "connect", Accept: "accept"}

// String gives the name used in configuration and output.
func (t Type) String() string {
	if t == 0 || t >= Types {
		return "unknown"
	}
	return names[t]
}

// Parse finds the type with that name.
func Parse(name string) (Type, bool) {
	for t := Exec; t < Types; t++ {
		if names[t] == name {
			return t, true
		}
	}
	return 0, false
}

// All lists every type in order.
func All() []Type {
	return []Type{Exec, Fork, Exit, Connect, Accept}
}

// Flags say which parts of an event are incomplete.
type Flags uint16

// The flags of bpf/events.h.
const (
	ArgvTruncated Flags = 1 << iota
	ExeTruncated
	CwdTruncated
	CgroupTruncated
	NoProcess
	ArgvUnreadable
)

// Aborted is the error of a connection that its caller closed before it was
// decided; no error number of Linux is as large.
const Aborted = 0xffff

const (
	headerSize     = 88
	connectionSize = 48
	familyIPv6     = 10
)

var (
	errShort = errors.New("record is shorter than its header says")
	errType  = errors.New("record has an unknown type")
)

// Event is one decoded record. Its byte slices point into the record.
type Event struct {
	Type        Type
	Flags       Flags
	Time        uint64 // nanoseconds of the boot clock
	Start       uint64 // the process's start on the boot clock
	ParentStart uint64
	PID         uint32
	ParentPID   uint32
	UID         uint32
	GID         uint32
	ExitStatus  uint32
	Comm        []byte
	ParentComm  []byte
	Exe         []byte // path components, innermost first, each ended by zero
	Cwd         []byte
	Argv        []byte
	Cgroup      []byte
	Connection  Connection
}

// Connection is what connect and accept events have in addition.
type Connection struct {
	Opened uint64 // boot clock at connect or listen
	Local  netip.AddrPort
	Remote netip.AddrPort
	Error  uint16
}

// Has reports whether a flag is set.
func (e *Event) Has(flag Flags) bool {
	return e.Flags&flag != 0
}

// Decode reads a record into e, which then refers to the record's bytes.
func Decode(record []byte, e *Event) error {
	if len(record) < headerSize {
		return errShort
	}
	le := binary.LittleEndian
	*e = Event{
		Time:        le.Uint64(record[0:]),
		Start:       le.Uint64(record[8:]),
		ParentStart: le.Uint64(record[16:]),
		PID:         le.Uint32(record[24:]),
		ParentPID:   le.Uint32(record[28:]),
		UID:         le.Uint32(record[32:]),
		GID:         le.Uint32(record[36:]),
		Comm:        untilZero(record[40:56]),
		ParentComm:  untilZero(record[56:72]),
		ExitStatus:  le.Uint32(record[72:]),
		Flags:       Flags(le.Uint16(record[78:])),
	}
	kind := le.Uint16(record[76:])
	if kind == 0 || kind >= uint16(Types) {
		return errType
	}
	e.Type = Type(kind)
	rest := record[headerSize:]
	if e.Type == Connect || e.Type == Accept {
		if len(rest) < connectionSize {
			return errShort
		}
		e.Connection = decodeConnection(rest)
		rest = rest[connectionSize:]
	}
	for i, part := range []*[]byte{&e.Exe, &e.Cwd, &e.Argv, &e.Cgroup} {
		size := int(le.Uint16(record[80+2*i:]))
		if size > len(rest) {
			return errShort
		}
		*part, rest = rest[:size], rest[size:]
	}
	return nil
}

func decodeConnection(part []byte) Connection {
	le := binary.LittleEndian
	family := le.Uint16(part[44:])
	return Connection{
		Opened: le.Uint64(part[0:]),
		Local:  netip.AddrPortFrom(address(part[8:24], family), le.Uint16(part[40:])),
		Remote: netip.AddrPortFrom(address(part[24:40], family), le.Uint16(part[42:])),
		Error:  le.Uint16(part[46:]),
	}
}

// address also turns IPv4 addresses inside IPv6 sockets into plain ones.
func address(bytes []byte, family uint16) netip.Addr {
	if family == familyIPv6 {
		return netip.AddrFrom16([16]byte(bytes)).Unmap()
	}
	return netip.AddrFrom4([4]byte(bytes[:4]))
}

func untilZero(text []byte) []byte {
	if end := bytes.IndexByte(text, 0); end >= 0 {
		return text[:end]
	}
	return text
}

// AppendPath puts a path together from its components. A path that the
// kernel side had to cut begins with "..." in place of what is missing.
func AppendPath(to []byte, components []byte, cut bool) []byte {
	if cut {
		to = append(to, "..."...)
	}
	if len(components) == 0 && !cut {
		return append(to, '/')
	}
	rest := bytes.TrimSuffix(components, []byte{0})
	for len(rest) > 0 {
		begin := bytes.LastIndexByte(rest, 0) + 1
		to = append(to, '/')
		to = append(to, rest[begin:]...)
		rest = rest[:max(begin-1, 0)]
	}
	return to
}

// Argument gives the n-th argument, counted from 0.
func (e *Event) Argument(n int) ([]byte, bool) {
	rest := e.Argv
	for ; len(rest) > 0; n-- {
		argument, after, _ := bytes.Cut(rest, []byte{0})
		if n == 0 {
			return argument, true
		}
		rest = after
	}
	return nil, false
}

package event

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
)

// record builds what the kernel side sends.
func record(kind Type, exe, cwd, argv, cgroup string, connection []byte) []byte {
	le := binary.LittleEndian
	head := make([]byte, headerSize)
	le.PutUint64(head[0:], 5_000)
	le.PutUint64(head[8:], 1_000)
	le.PutUint64(head[16:], 500)
	le.PutUint32(head[24:], 42)
	le.PutUint32(head[28:], 7)
	le.PutUint32(head[32:], 1000)
	le.PutUint32(head[36:], 100)
	copy(head[40:], "child\x00garbage")
	copy(head[56:], "sixteen-letters!")
	le.PutUint32(head[72:], 0x0300)
	le.PutUint16(head[76:], uint16(kind))
	le.PutUint16(head[78:], uint16(ArgvTruncated))
	for i, part := range []string{exe, cwd, argv, cgroup} {
		le.PutUint16(head[80+2*i:], uint16(len(part)))
	}
	return append(append(head, connection...), exe+cwd+argv+cgroup...)
}

func connectionPart(family uint16, local, remote []byte) []byte {
	le := binary.LittleEndian
	part := make([]byte, connectionSize)
	le.PutUint64(part[0:], 4_000)
	copy(part[8:24], local)
	copy(part[24:40], remote)
	le.PutUint16(part[40:], 1234)
	le.PutUint16(part[42:], 443)
	le.PutUint16(part[44:], family)
	le.PutUint16(part[46:], 111)
	return part
}

func TestDecodeExec(t *testing.T) {
	var e Event
	if err := Decode(record(Exec, "sh\x00bin\x00", "tmp\x00", "sh\x00-c\x00", "leaf\x00", nil), &e); err != nil {
		t.Fatal(err)
	}
	if e.Type != Exec || e.Time != 5000 || e.Start != 1000 || e.ParentStart != 500 || e.PID != 42 || e.ParentPID != 7 ||
		e.UID != 1000 || e.GID != 100 || e.ExitStatus != 0x300 || !e.Has(ArgvTruncated) || e.Has(NoProcess) {
		t.Errorf("wrong header: %+v", e)
	}
	for _, pair := range [][2]string{
		{string(e.Comm), "child"}, {string(e.ParentComm), "sixteen-letters!"}, {string(e.Exe), "sh\x00bin\x00"},
		{string(e.Cwd), "tmp\x00"}, {string(e.Argv), "sh\x00-c\x00"}, {string(e.Cgroup), "leaf\x00"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%q instead of %q", pair[0], pair[1])
		}
	}
}

func TestDecodeConnections(t *testing.T) {
	six := netip.MustParseAddr("2001:db8::1").As16()
	mapped := netip.MustParseAddr("::ffff:10.0.0.2").As16()
	tests := []struct {
		name          string
		part          []byte
		local, remote string
	}{
		{"ipv4", connectionPart(2, []byte{10, 0, 0, 1}, []byte{10, 0, 0, 2}), "10.0.0.1:1234", "10.0.0.2:443"},
		{"ipv6", connectionPart(10, six[:], six[:]), "[2001:db8::1]:1234", "[2001:db8::1]:443"},
		{"mapped", connectionPart(10, mapped[:], mapped[:]), "10.0.0.2:1234", "10.0.0.2:443"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var e Event
			if err := Decode(record(Connect, "", "", "", "leaf\x00", test.part), &e); err != nil {
				t.Fatal(err)
			}
			c := e.Connection
			if c.Local.String() != test.local || c.Remote.String() != test.remote || c.Error != 111 || c.Opened != 4000 {
				t.Errorf("%+v", c)
			}
			if string(e.Cgroup) != "leaf\x00" {
				t.Errorf("cgroup %q", e.Cgroup)
			}
		})
	}
}

func TestDecodeRefusesWhatIsNoRecord(t *testing.T) {
	whole := record(Accept, "a\x00", "b\x00", "c\x00", "d\x00", connectionPart(2, nil, nil))
	var e Event
	for size := range whole {
		if Decode(whole[:size], &e) == nil {
			t.Errorf("%d of %d bytes were accepted", size, len(whole))
		}
	}
	for _, kind := range []Type{0, Types, 200} {
		if Decode(record(kind, "", "", "", "", nil), &e) == nil {
			t.Errorf("type %d was accepted", kind)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(record(Exec, "sh\x00bin\x00", "", "sh\x00", "x\x00", nil))
	f.Add(record(Connect, "", "", "", "x\x00", connectionPart(10, nil, nil)))
	f.Fuzz(func(t *testing.T, data []byte) {
		var e Event
		if Decode(data, &e) == nil {
			AppendPath(nil, e.Exe, e.Has(ExeTruncated))
			e.Argument(3)
		}
	})
}

func TestAppendPath(t *testing.T) {
	tests := []struct {
		components string
		cut        bool
		want       string
	}{
		{"", false, "/"},
		{"bash\x00bin\x00usr\x00", false, "/usr/bin/bash"},
		{"memfd:x\x00", false, "/memfd:x"},
		{"c\x00b\x00", true, ".../b/c"},
		{"", true, "..."},
	}
	for _, test := range tests {
		if got := string(AppendPath(nil, []byte(test.components), test.cut)); got != test.want {
			t.Errorf("%q gives %q instead of %q", test.components, got, test.want)
		}
	}
}

func TestArgument(t *testing.T) {
	e := Event{Argv: []byte("a\x00\x00c")}
	for n, want := range []string{"a", "", "c"} {
		if got, ok := e.Argument(n); !ok || string(got) != want {
			t.Errorf("argument %d is %q, %v", n, got, ok)
		}
	}
	if got, ok := e.Argument(3); ok || !bytes.Equal(got, nil) {
		t.Errorf("an argument too many: %q", got)
	}
}

func TestTypeNames(t *testing.T) {
	for _, kind := range All() {
		if again, ok := Parse(kind.String()); !ok || again != kind {
			t.Errorf("%d has the name %q, which is %d", kind, kind, again)
		}
	}
	if _, ok := Parse(""); ok {
		t.Error("no name is a type")
	}
	if Type(99).String() != "unknown" {
		t.Error("an unknown type has a name")
	}
}

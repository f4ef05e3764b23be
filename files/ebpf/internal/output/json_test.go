package output

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"nanoagent.io/collector/internal/backend"
	"nanoagent.io/collector/internal/bpf"
	"nanoagent.io/collector/internal/event"
	"nanoagent.io/collector/internal/pods"
)

var (
	format = NewFormat("0a5b7d6b", "n1", "c1", map[string]string{"b": "2", "a": "1"})
	where  = Where{Container: "cid", PodUID: "puid", Names: pods.Names{Namespace: "shop", Pod: "web-0", Container: "nginx"}}
)

func process(kind event.Type) event.Event {
	return event.Event{
		Type: kind, Time: 3_000_000, Start: 2_000_000, ParentStart: 1_000_000, PID: 42, ParentPID: 7, UID: 1000, GID: 100,
		Comm: []byte("sh"), ParentComm: []byte("init"), Exe: []byte("sh\x00bin\x00"), Argv: []byte("sh\x00-c\x00\x00"), Cwd: []byte("tmp\x00"),
	}
}

func TestLines(t *testing.T) {
	const offset = 1_700_000_000_000_000_000
	const head = `,"time":"2023-11-14T22:13:20.003000000Z","node":"n1","cluster":"c1"`
	const short = `"process":{"id":"0a5b7d6b-2000000-42","pid":42,"uid":1000,"gid":100,"comm":"sh"`
	const parent = `,"parent":{"id":"0a5b7d6b-1000000-7","pid":7,"comm":"init"}`
	const place = `,"container":{"id":"cid","name":"nginx"},"pod":{"namespace":"shop","name":"web-0","uid":"puid"}`
	const tags = `,"tags":{"a":"1","b":"2"}}` + "\n"

	killed := process(event.Exit)
	killed.ExitStatus = 9
	ended := process(event.Exit)
	ended.ExitStatus = 3 << 8
	dumped := process(event.Exit)
	dumped.ExitStatus = 11 | 0x80
	cut := process(event.Exec)
	cut.Flags = event.ArgvTruncated
	connect := process(event.Connect)
	connect.Connection = event.Connection{Opened: 2_500_000, Local: netip.MustParseAddrPort("10.0.0.1:1000"), Remote: netip.MustParseAddrPort("10.0.0.2:80"), Error: 111}
	accept := process(event.Accept)
	accept.Flags = event.NoProcess
	accept.Connection = event.Connection{Local: netip.MustParseAddrPort("[::1]:80"), Remote: netip.MustParseAddrPort("[::1]:1000")}
	aborted := connect
	aborted.Connection.Error = event.Aborted

	const connection = `,"connection":{"id":"0a5b7d6b-2500000-1000","family":"ipv4","local":"10.0.0.1:1000","remote":"10.0.0.2:80","error":"`
	tests := []struct {
		name  string
		event event.Event
		where Where
		want  string
	}{
		{"exec", process(event.Exec), where, `{"type":"exec"` + head + `,` + short + `,"exe":"/bin/sh","argv":["sh","-c",""],"cwd":"/tmp"}` + parent + place + tags},
		{"cut", cut, Where{}, `{"type":"exec"` + head + `,` + short + `,"exe":"/bin/sh","argv":["sh","-c",""],"argv_truncated":true,"cwd":"/tmp"}` + parent + tags},
		{"fork", process(event.Fork), Where{Container: "cid"}, `{"type":"fork"` + head + `,` + short + `}` + parent + `,"container":{"id":"cid"}` + tags},
		{"ended", ended, Where{PodUID: "puid"}, `{"type":"exit"` + head + `,` + short + `}` + parent + `,"pod":{"uid":"puid"},"exit":{"code":3}` + tags},
		{"killed", killed, Where{}, `{"type":"exit"` + head + `,` + short + `}` + parent + `,"exit":{"code":0,"signal":9}` + tags},
		{"dumped", dumped, Where{}, `{"type":"exit"` + head + `,` + short + `}` + parent + `,"exit":{"code":0,"signal":11}` + tags},
		{"connect", connect, Where{}, `{"type":"connect"` + head + `,` + short + `}` + parent + connection + `ECONNREFUSED","latency_us":500}` + tags},
		{"aborted", aborted, Where{}, `{"type":"connect"` + head + `,` + short + `}` + parent + connection + `aborted","latency_us":500}` + tags},
		{"accept", accept, Where{}, `{"type":"accept"` + head + `,"connection":{"id":"0a5b7d6b-3000000-80","family":"ipv6","local":"[::1]:80","remote":"[::1]:1000"}` + tags},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := string(format.Event(nil, &test.event, test.where, offset)); got != test.want {
				t.Errorf("\n%s instead of\n%s", got, test.want)
			}
		})
	}
}

func TestNothingIsSaidOfWhatIsNotSet(t *testing.T) {
	e := process(event.Fork)
	line := string(NewFormat("b", "", "", nil).Event(nil, &e, Where{}, 0))
	for _, key := range []string{"node", "cluster", "tags", "container", "pod"} {
		if strings.Contains(line, `"`+key+`"`) {
			t.Errorf("%s in %s", key, line)
		}
	}
}

func TestUnknownErrorNumber(t *testing.T) {
	if got := errorName(4000); got != "errno 4000" {
		t.Errorf("%q", got)
	}
}

func TestRecordsAreJSON(t *testing.T) {
	var balance [event.Types]Balance
	coverage := []bpf.Coverage{
		{Event: event.Exec, Seen: true, Hook: "tp_btf/x", Tried: []bpf.Attempt{{Hook: "a", Why: "line\nbreak"}}},
		{Event: event.Fork, Tried: []bpf.Attempt{{Hook: "a", Why: "no"}, {Hook: "b", Why: "no"}}},
	}
	for _, line := range [][]byte{
		format.Coverage(nil, coverage, 0),
		format.Gap(nil, "ring", 3, map[string]uint64{"exec": 2, "fork": 1}, 0),
		format.Gap(nil, "output", -1, map[string]uint64{"exec": 2}, 0),
		format.Batch("STREAM", 8, 3),
		format.Delivery(nil, backend.Account{Stream: "STREAM", Failure: "it said \"no\"", Dropped: map[string]backend.Counts{"full": {1, 2}}}, 0),
		format.End(AppendBalance(append(format.Begin(nil, "balance", 0), `,"events":`...), &balance)),
	} {
		if !json.Valid(line) || strings.Count(string(line), "\n") != 1 {
			t.Errorf("not a line of JSON: %s", line)
		}
	}
}

func FuzzString(f *testing.F) {
	for _, seed := range []string{"", "plain", "\"\\\n\t\x00\x7f", "\xff\xfe", "grüße \u2028\u2029", "\xf0\x9f\x98\x80", "cut \xf0\x9f"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		line := AppendString(nil, text)
		if !utf8.Valid(line) {
			t.Fatalf("not UTF-8: %q", line)
		}
		var got string
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		if want := strings.ToValidUTF8(string(text), "\ufffd"); utf8.Valid(text) && got != want {
			t.Fatalf("%q instead of %q", got, want)
		}
		for _, c := range line {
			if c < ' ' {
				t.Fatalf("a control character is left in %q", line)
			}
		}
	})
}

func FuzzEvent(f *testing.F) {
	f.Add([]byte("sh\x00"), []byte("a\x00b\x00"), []byte("comm"))
	f.Fuzz(func(t *testing.T, path, argv, comm []byte) {
		e := process(event.Exec)
		e.Exe, e.Cwd, e.Argv, e.Comm, e.ParentComm = path, path, argv, comm, comm
		if line := format.Event(nil, &e, where, 0); !json.Valid(line) {
			t.Fatalf("not JSON: %q", line)
		}
	})
}

func BenchmarkEvent(b *testing.B) {
	e := process(event.Exec)
	var line []byte
	b.ReportAllocs()
	for b.Loop() {
		line = format.Event(line[:0], &e, where, 0)
	}
}

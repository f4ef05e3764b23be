package output

import (
	"sort"
	"strconv"
	"time"

	"nanoagent.io/collector/internal/backend"
	"nanoagent.io/collector/internal/bpf"
	"nanoagent.io/collector/internal/event"
)

// Coverage writes the line that says which events are seen by which hook.
func (f *Format) Coverage(to []byte, coverage []bpf.Coverage, unixTime int64) []byte {
	to = f.Begin(to, "coverage", unixTime)
	to = append(to, `,"events":{`...)
	for i, one := range coverage {
		if i > 0 {
			to = append(to, ',')
		}
		to = AppendString(to, []byte(one.Event.String()))
		to = append(to, `:{"seen":`...)
		to = strconv.AppendBool(to, one.Seen)
		if one.Seen {
			to = AppendString(append(to, `,"hook":`...), []byte(one.Hook))
		}
		if len(one.Tried) > 0 {
			to = appendAttempts(to, one.Tried)
		}
		to = append(to, '}')
	}
	return f.End(append(to, '}'))
}

func appendAttempts(to []byte, tried []bpf.Attempt) []byte {
	to = append(to, `,"not_by":[`...)
	for i, attempt := range tried {
		if i > 0 {
			to = append(to, ',')
		}
		to = AppendString(append(to, `{"hook":`...), []byte(attempt.Hook))
		to = AppendString(append(to, `,"why":`...), []byte(attempt.Why))
		to = append(to, '}')
	}
	return append(to, ']')
}

// Gap writes the line that stands in for events that were lost. Where is
// "ring" (with the processor), "hook", "start", "output" or "backend".
func (f *Format) Gap(to []byte, where string, cpu int, lost map[string]uint64, unixTime int64) []byte {
	to = f.Begin(to, "gap", unixTime)
	to = append(to, `,"where":"`...)
	to = append(to, where...)
	to = append(to, '"')
	if cpu >= 0 {
		to = append(to, `,"cpu":`...)
		to = strconv.AppendInt(to, int64(cpu), 10)
	}
	to = append(to, `,"lost":`...)
	to = AppendCounts(to, lost)
	return f.End(to)
}

// Batch writes the line that a batch for the backend begins with: lines are
// numbered within a stream, which is one run of the collector.
func (f *Format) Batch(stream string, first, lines uint64) []byte {
	to := f.Begin(nil, "batch", time.Now().UnixNano())
	to = AppendString(append(to, `,"stream":`...), []byte(stream))
	to = append(to, `,"first":`...)
	to = strconv.AppendUint(to, first, 10)
	to = append(to, `,"lines":`...)
	to = strconv.AppendUint(to, lines, 10)
	return f.End(to)
}

// Delivery writes the line that says what became of all lines for the backend.
func (f *Format) Delivery(to []byte, account backend.Account, unixTime int64) []byte {
	to = f.Begin(to, "delivery", unixTime)
	to = AppendString(append(to, `,"stream":`...), []byte(account.Stream))
	to = append(to, `,"given":`...)
	to = strconv.AppendUint(to, account.Given.Sum(), 10)
	to = append(to, `,"sent":`...)
	to = strconv.AppendUint(to, account.Sent.Sum(), 10)
	dropped := make(map[string]uint64)
	for cause, counts := range account.Dropped {
		dropped[cause] = counts.Sum()
	}
	to = append(to, `,"dropped":`...)
	to = AppendCounts(to, dropped)
	if account.Failure != "" {
		to = AppendString(append(to, `,"failure":`...), []byte(account.Failure))
	}
	return f.End(to)
}

// Balance is what became of the events of one type.
type Balance struct {
	Emitted   uint64 // by the kernel side, whether or not there was room
	Lost      uint64 // no room in the ring
	Received  uint64
	Written   uint64
	Self      uint64 // the collector's own probes and connections
	OtherNode uint64
	Unwanted  uint64 // not among the configured events
	Dropped   uint64 // standard output did not take them in time
}

// AppendBalance writes the balance of all types as one object.
func AppendBalance(to []byte, balance *[event.Types]Balance) []byte {
	before := byte('{')
	for _, kind := range event.All() {
		b := &balance[kind]
		to = append(to, before)
		to = AppendString(to, []byte(kind.String()))
		to = append(to, ':')
		to = AppendCounts(to, map[string]uint64{
			"emitted": b.Emitted, "lost": b.Lost, "received": b.Received, "written": b.Written, "self": b.Self,
			"other_node": b.OtherNode, "unwanted": b.Unwanted, "dropped": b.Dropped,
		})
		before = ','
	}
	return append(to, '}')
}

// AppendCounts writes a map of numbers in the order of its keys.
func AppendCounts(to []byte, counts map[string]uint64) []byte {
	to = append(to, '{')
	for i, key := range sortedKeys(counts) {
		if i > 0 {
			to = append(to, ',')
		}
		to = AppendString(to, []byte(key))
		to = append(to, ':')
		to = strconv.AppendUint(to, counts[key], 10)
	}
	return append(to, '}')
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

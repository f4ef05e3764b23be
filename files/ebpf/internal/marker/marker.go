// Package marker is the side of a proof that asks: its process is the marker
// whose start the collector must have seen.
package marker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"nanoagent.io/collector/internal/server"
)

// The exit codes of a proof.
const (
	Proved   = 0
	NotSeen  = 3
	NoAnswer = 4
)

const (
	// The collector answers a question that it cannot serve within this time.
	answerSlack = time.Second
	// The event's time is computed from two clocks read one after the other.
	clockSlack = 100 * time.Millisecond
)

// Result is what a proof prints.
type Result struct {
	OK          bool            `json:"ok"`
	Reason      string          `json:"reason,omitempty"`
	Node        string          `json:"node,omitempty"`
	LatencyUS   int64           `json:"latency_us,omitempty"`
	SeenAfterUS int64           `json:"seen_after_us,omitempty"`
	Event       json.RawMessage `json:"event,omitempty"`
	// Events lost since the collector started, by where; nothing for none.
	Lost map[string]uint64 `json:"lost,omitempty"`
}

type answer struct {
	Node        string          `json:"node"`
	SeenAfterUS int64           `json:"seen_after_us"`
	Event       json.RawMessage `json:"event"`
}

type facts struct {
	Type    string    `json:"type"`
	Time    time.Time `json:"time"`
	Process struct {
		Argv      []string `json:"argv"`
		Truncated bool     `json:"argv_truncated"`
	} `json:"process"`
}

// Prove asks the collector for the start of this process, whose arguments
// are argv. Only the nonce's hash is sent, so that an answer with the nonce
// in it can only come from the kernel.
func Prove(socket, nonce string, argv []string, limit time.Duration) (Result, int) {
	begin := time.Now()
	sum := sha256.Sum256([]byte(nonce))
	ctx, cancel := context.WithTimeout(context.Background(), limit+answerSlack)
	defer cancel()
	status, body, err := server.Get(ctx, socket, "/prove", url.Values{
		"sha256":     {hex.EncodeToString(sum[:])},
		"timeout_ms": {strconv.FormatInt(limit.Milliseconds(), 10)},
	})
	switch {
	case err != nil && ctx.Err() != nil:
		return failed(NotSeen, "the collector did not answer within %s", limit)
	case err != nil:
		return failed(NoAnswer, "%v", err)
	case status == http.StatusNotFound:
		return failed(NotSeen, "the collector did not see this process within %s", limit)
	case status != http.StatusOK:
		return failed(NoAnswer, "the collector answered: %s", strings.TrimSpace(string(body)))
	}
	var got answer
	if err := json.Unmarshal(body, &got); err != nil {
		return failed(NoAnswer, "the collector's answer is not valid: %v", err)
	}
	event, err := check(got.Event, argv, begin, limit)
	if err != nil {
		return failed(NotSeen, "%v", err)
	}
	result := Result{
		OK:          true,
		Node:        got.Node,
		LatencyUS:   max(time.Since(event.Time).Microseconds(), 1),
		SeenAfterUS: got.SeenAfterUS,
		Event:       got.Event,
	}
	result.Lost = lost(ctx, socket)
	return result, Proved
}

// Where events are lost, by the counter that counts them, as in gap records.
var counters = map[string]string{
	"nanoagent_collector_events_lost_total":     "ring",
	"nanoagent_collector_hook_missed_total":     "hook",
	"nanoagent_collector_events_dropped_total":  "output",
	"nanoagent_collector_backend_dropped_total": "backend",
}

// lost asks the collector how many events it has lost since it started. A
// proof stands without: nothing is known then, and nothing is said.
func lost(ctx context.Context, socket string) map[string]uint64 {
	status, body, err := server.Get(ctx, socket, "/metrics", nil)
	if err != nil || status != http.StatusOK {
		return nil
	}
	sums := make(map[string]uint64)
	for line := range strings.Lines(string(body)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, _, _ = strings.Cut(name, "{")
		where, counted := counters[name]
		if n, err := strconv.ParseUint(value, 10, 64); counted && err == nil && n > 0 {
			sums[where] += n
		}
	}
	return sums
}

func failed(code int, format string, values ...any) (Result, int) {
	return Result{Reason: fmt.Sprintf(format, values...)}, code
}

// check compares the event with what this process knows of itself. Process
// numbers are no use: a container has its own.
func check(text json.RawMessage, argv []string, begin time.Time, limit time.Duration) (facts, error) {
	var event facts
	if err := json.Unmarshal(text, &event); err != nil {
		return event, fmt.Errorf("the event is not valid: %w", err)
	}
	if event.Type != "exec" {
		return event, fmt.Errorf("the event is of type %q, not exec", event.Type)
	}
	if !slices.Equal(event.Process.Argv, argv) {
		return event, fmt.Errorf("the event's arguments %q are not this process's", event.Process.Argv)
	}
	if event.Time.After(begin.Add(clockSlack)) || event.Time.Before(begin.Add(-limit-answerSlack)) {
		return event, fmt.Errorf("the event's time %s is not when this process started", event.Time.Format(time.RFC3339Nano))
	}
	return event, nil
}

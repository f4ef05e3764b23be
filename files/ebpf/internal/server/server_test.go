package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nanoagent.io/collector/internal/backend"
	"nanoagent.io/collector/internal/event"
	"nanoagent.io/collector/internal/output"
	"nanoagent.io/collector/internal/pipeline"
	"nanoagent.io/collector/internal/proof"
)

type fixture struct {
	socket string
	status pipeline.Status
	proofs *proof.Memory
	woken  int
}

func serve(t *testing.T, status pipeline.Status) *fixture {
	t.Helper()
	f := &fixture{socket: filepath.Join(t.TempDir(), "socket"), status: status, proofs: proof.NewMemory()}
	s := New(Parts{
		Status: func() pipeline.Status { return f.status }, Coverage: []byte(`{"type":"coverage"}`), Backend: account,
		Proofs: f.proofs, Wake: func() { f.woken++ }, Node: "n1", Version: "1", Started: time.Now(),
	})
	if err := s.ListenUnix(f.socket); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return f
}

func account() backend.Account {
	return backend.Account{
		Sent: backend.Counts{0: 2, event.Exec: 5}, Dropped: map[string]backend.Counts{backend.Full: {event.Fork: 3}},
		Waiting: backend.Counts{event.Exec: 1, event.Exit: 1}, Bytes: 400, Batches: 4, Retries: 6, Failure: "away",
	}
}

func (f *fixture) get(t *testing.T, path string, query url.Values) (int, string) {
	t.Helper()
	status, body, err := Get(context.Background(), f.socket, path, query)
	if err != nil {
		t.Fatal(err)
	}
	return status, string(body)
}

func TestHealthAndReadiness(t *testing.T) {
	now := time.Now()
	tests := []struct {
		name        string
		status      pipeline.Status
		live, ready bool
		why         string
	}{
		{"starting", pipeline.Status{Drained: now}, true, false, "self test"},
		{"ready", pipeline.Status{Drained: now, Ready: true}, true, true, "ok"},
		{"stalled", pipeline.Status{Drained: now.Add(-time.Minute), Ready: true}, false, false, "not drained for 1m"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := serve(t, test.status)
			live, _ := Health(context.Background(), f.socket, "live")
			ready, why := Health(context.Background(), f.socket, "ready")
			if live != test.live || ready != test.ready || !strings.Contains(why, test.why) {
				t.Errorf("live %v, ready %v: %s", live, ready, why)
			}
		})
	}
}

func TestSocketIsForItsOwnerOnly(t *testing.T) {
	f := serve(t, pipeline.Status{})
	info, err := os.Stat(f.socket)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestProve(t *testing.T) {
	f := serve(t, pipeline.Status{})
	sum := sha256.Sum256([]byte("nonce"))
	query := url.Values{"sha256": {hex.EncodeToString(sum[:])}, "timeout_ms": {"2000"}}
	time.AfterFunc(20*time.Millisecond, func() {
		f.proofs.Add([]byte("nonce"), proof.Marker{Line: []byte(`{"type":"exec"}`), SeenAfterUS: 7})
	})
	status, body := f.get(t, "/prove", query)
	if status != http.StatusOK || body != `{"node":"n1","seen_after_us":7,"event":{"type":"exec"}}`+"\n" {
		t.Errorf("%d: %s", status, body)
	}
	if f.woken == 0 {
		t.Error("the ring was not drained at once")
	}
	other := sha256.Sum256([]byte("other"))
	if status, _ := f.get(t, "/prove", url.Values{"sha256": {hex.EncodeToString(other[:])}, "timeout_ms": {"10"}}); status != http.StatusNotFound {
		t.Errorf("a marker that never was: %d", status)
	}
	for _, wrong := range []url.Values{
		{}, {"sha256": {"00"}, "timeout_ms": {"1"}}, {"sha256": {"nonce"}, "timeout_ms": {"1"}}, {"sha256": query["sha256"], "timeout_ms": {"-1"}},
	} {
		if status, _ := f.get(t, "/prove", wrong); status != http.StatusBadRequest {
			t.Errorf("%v gives %d", wrong, status)
		}
	}
}

func TestMetricsAndCoverage(t *testing.T) {
	status := pipeline.Status{
		Drained: time.Now(), Ready: true, Missed: map[string]uint64{"x": 3}, Held: 4,
	}
	status.Balance[event.Exec] = output.Balance{Emitted: 9, Lost: 2, Received: 7, Written: 6, Self: 1}
	status.LostByCPU[event.Exec] = []uint64{0, 2}
	f := serve(t, status)
	_, body := f.get(t, "/metrics", nil)
	for _, want := range []string{
		`nanoagent_collector_events_emitted_total{type="exec"} 9`, `nanoagent_collector_events_written_total{type="exec"} 6`,
		`nanoagent_collector_events_lost_total{type="exec",cpu="1"} 2`, `nanoagent_collector_hook_missed_total{hook="x"} 3`,
		`nanoagent_collector_backend_sent_total{type="record"} 2`, `nanoagent_collector_backend_sent_total{type="exec"} 5`,
		`nanoagent_collector_backend_dropped_total{cause="full",type="fork"} 3`, `nanoagent_collector_backend_dropped_total{cause="stopped",type="exec"} 0`,
		"nanoagent_collector_backend_batches_total 4", "nanoagent_collector_backend_retries_total 6", "nanoagent_collector_backend_failing 1",
		"nanoagent_collector_backend_waiting_lines 2", "nanoagent_collector_backend_waiting_bytes 400",
		"nanoagent_collector_events_held 4", "nanoagent_collector_ready 1", `nanoagent_collector_build_info{version="1"} 1`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("%s is missing", want)
		}
	}
	checkExposition(t, body)
	if _, body := f.get(t, "/coverage", nil); !json.Valid([]byte(body)) {
		t.Errorf("coverage: %s", body)
	}
	if status, _ := f.get(t, "/other", nil); status != http.StatusNotFound {
		t.Errorf("an unknown path gives %d", status)
	}
}

// TestOverTCPOnlyWhatAnybodyMayKnow asks on all addresses and on one.
func TestOverTCPOnlyWhatAnybodyMayKnow(t *testing.T) {
	for _, host := range []string{"", "127.0.0.1"} {
		s := New(Parts{
			Status: func() pipeline.Status { return pipeline.Status{Drained: time.Now(), Ready: true} }, Coverage: []byte(`{}`),
			Proofs: proof.NewMemory(), Wake: func() {}, Started: time.Now(),
		})
		port := freePort(t)
		if err := s.ListenTCP(net.JoinHostPort(host, port)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		for path, want := range map[string]int{
			"/healthz": http.StatusOK, "/readyz": http.StatusOK, "/metrics": http.StatusOK,
			"/": http.StatusNotFound, "/coverage": http.StatusNotFound, "/prove": http.StatusNotFound, "/debug/pprof/": http.StatusNotFound,
		} {
			response, err := http.Get("http://127.0.0.1:" + port + path)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != want {
				t.Errorf("%s on %q gives %s", path, host, response.Status)
			}
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func TestSilentClientIsPutOff(t *testing.T) {
	s := New(Parts{})
	s.public.ReadTimeout = 50 * time.Millisecond
	port := freePort(t)
	if err := s.ListenTCP(":" + port); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	connection, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if _, err := connection.Write([]byte("GET /metrics HTTP/1.1\r\n")); err != nil {
		t.Fatal(err)
	}
	connection.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadAll(connection); err != nil {
		t.Errorf("the connection was kept: %v", err)
	}
	if limits := New(Parts{}); limits.public.ReadTimeout <= 0 || limits.public.WriteTimeout <= 0 || limits.public.IdleTimeout <= 0 {
		t.Error("a client may take for ever")
	}
}

func TestAddressInUse(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := New(Parts{}).ListenTCP(listener.Addr().String()); err == nil || !strings.Contains(err.Error(), "choose another address for listen") {
		t.Errorf("%v", err)
	}
}

// checkExposition checks that each sample follows the help and type of its family, once.
func checkExposition(t *testing.T, text string) {
	t.Helper()
	family, samples := "", make(map[string]bool)
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if words[0] == "#" {
			family = words[2]
			continue
		}
		name, _, _ := strings.Cut(words[0], "{")
		sample := strings.Join(words[:len(words)-1], " ")
		if name != family || samples[sample] {
			t.Errorf("out of place: %s", line)
		}
		samples[sample] = true
	}
	if len(samples) < 30 {
		t.Errorf("only %d samples", len(samples))
	}
}

func TestLeftSocketIsReplacedAndUsedOneIsNot(t *testing.T) {
	f := serve(t, pipeline.Status{})
	if err := New(Parts{}).ListenUnix(f.socket); err == nil || !strings.Contains(err.Error(), "another collector") {
		t.Errorf("%v", err)
	}
	left := filepath.Join(t.TempDir(), "left")
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := New(Parts{})
	if err := s.ListenUnix(left); err != nil {
		t.Error(err)
	}
	s.Close()
}

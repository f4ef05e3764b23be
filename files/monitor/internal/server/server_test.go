package server

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nanoagent.io/monitor/internal/stream"
)

func parts(ready error) Parts {
	return Parts{
		Ready: func() error { return ready },
		Counts: func() stream.Counts {
			return stream.Counts{
				Objects: map[string]int{"Pod": 3}, Changes: map[string]map[string]uint64{"Pod": {"added": 4}},
				Unchanged: map[string]uint64{"Node": 5}, Written: 6, Speaking: true, Snapshots: 1,
			}
		},
		Missing: func() map[string]string { return map[string]string{"services": "no right to list"} },
		Errors:  func() map[string]int { return map[string]int{"services": 7} },
		Version: "1.2.3", Started: time.Unix(1700000000, 0),
	}
}

func listening(t *testing.T, ready error) (*Server, string) {
	t.Helper()
	server, socket := New(parts(ready)), filepath.Join(t.TempDir(), "s")
	if err := server.ListenUnix(socket); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server, socket
}

func TestHealth(t *testing.T) {
	_, socket := listening(t, errors.New("services: no right to list"))
	if healthy, why := Health(t.Context(), socket, "live"); !healthy || why != "ok" {
		t.Error(why)
	}
	if healthy, why := Health(t.Context(), socket, "ready"); healthy || why != "services: no right to list" {
		t.Error(why)
	}
}

func TestNobodyAnswers(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	healthy, why := Health(ctx, filepath.Join(t.TempDir(), "none"), "live")
	if healthy || !strings.HasPrefix(why, "no monitor answers on its socket") || strings.Contains(why, "\n") {
		t.Error(why)
	}
}

func TestTheSocketIsTheOwnersAndOnlyOne(t *testing.T) {
	_, socket := listening(t, nil)
	info, err := os.Stat(socket)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	if err := New(parts(nil)).ListenUnix(socket); err == nil || !strings.Contains(err.Error(), "another monitor answers") {
		t.Error(err)
	}
}

func TestASocketThatWasLeftIsReplaced(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(socket, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	server := New(parts(nil))
	defer server.Close()
	if err := server.ListenUnix(socket); err != nil {
		t.Error(err)
	}
}

func TestMetrics(t *testing.T) {
	recorder := httptest.NewRecorder()
	New(parts(nil)).http.Handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	text := recorder.Body.String()
	for _, line := range []string{
		`nanoagent_monitor_objects{kind="Pod"} 3`, `nanoagent_monitor_changes_total{kind="Pod",change="added"} 4`,
		`nanoagent_monitor_unchanged_total{kind="Node"} 5`, `nanoagent_monitor_lines_total 6`, `nanoagent_monitor_speaking 1`,
		`nanoagent_monitor_followed{resource="services"} 0`, `nanoagent_monitor_followed{resource="pods"} 1`,
		`nanoagent_monitor_followed{resource="deployments.apps"} 1`, `nanoagent_monitor_api_errors_total{resource="services"} 7`,
		`nanoagent_monitor_ready 1`, `nanoagent_monitor_start_time_seconds 1700000000`, `# TYPE nanoagent_monitor_resident_bytes gauge`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Error("missing:", line)
		}
	}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "# ") && !strings.HasPrefix(line, "nanoagent_monitor_") {
			t.Error(line)
		}
	}
}

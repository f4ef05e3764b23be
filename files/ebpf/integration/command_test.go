package integration

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestProve(t *testing.T) {
	eachVariant(t, func(t *testing.T, variant string) {
		c := start(t, setup{variant: variant})
		nonce := nonce(t)
		code, out := c.call("prove", nonce)
		var result struct {
			OK          bool
			Node        string
			LatencyUS   int64 `json:"latency_us"`
			SeenAfterUS int64 `json:"seen_after_us"`
			Event       line
		}
		if err := json.Unmarshal([]byte(out), &result); err != nil {
			t.Fatal(err, out)
		}
		if code != 0 || !result.OK || result.Node != "test-node" || result.Event.argument(2) != nonce {
			t.Errorf("exit %d: %s", code, out)
		}
		if result.LatencyUS <= 0 || result.LatencyUS > 1e6 || result.SeenAfterUS <= 0 || result.SeenAfterUS > result.LatencyUS {
			t.Errorf("latency %d us, seen after %d us", result.LatencyUS, result.SeenAfterUS)
		}
		t.Logf("proved in %d us", result.LatencyUS)
		c.await(1, func(l line) bool { return l.Type == "exec" && l.argument(2) == nonce })
	})
}

func TestProveWithoutCollector(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(config, []byte(`{"socket":"/nonexistent/socket"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(binary, "prove", "x", "--config", config).Output()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 4 || !strings.Contains(string(out), `"ok":false`) {
		t.Errorf("%v: %s", err, out)
	}
}

func TestProveWithoutAnswerInTime(t *testing.T) {
	address := filepath.Join(t.TempDir(), "socket")
	listener, err := net.Listen("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	config := filepath.Join(t.TempDir(), "config.json")
	text, _ := json.Marshal(map[string]string{"socket": address})
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(binary, "prove", "x", "--timeout", "200ms", "--config", config).Output()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 3 {
		t.Errorf("%v: %s", err, out)
	}
}

func TestMetricsOnTCP(t *testing.T) {
	c := start(t, setup{config: map[string]any{"listen": ":18931"}})
	for path, want := range map[string]int{"/metrics": 200, "/healthz": 200, "/readyz": 200, "/prove": 404} {
		response, err := http.Get("http://127.0.0.1:18931" + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: status %s", path, response.Status)
		}
	}
	c.stop()
}

func TestDeliver(t *testing.T) {
	source := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(source, []byte(`{"defaultAction":"SCMP_ACT_ALLOW"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	destination := filepath.Join(t.TempDir(), "seccomp", "nanoagent", "profile.json")
	tests := []struct {
		name  string
		words []string
		code  int
		want  string
	}{
		{"new", []string{source, destination}, 0, "delivered " + destination},
		{"again", []string{source, destination}, 0, "already there: " + destination},
		{"no source", []string{source + "x", destination}, 1, "collector: deliver: cannot read"},
		{"one word", []string{source}, 2, "deliver SRC DST: name two files"},
		{"empty word", []string{source, ""}, 2, "deliver SRC DST: name two files"},
		{"flag", []string{"--config", source, destination}, 2, "deliver SRC DST: name two files"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			command := exec.Command("sh", append([]string{"-c", `umask 077; exec "$@"`, "sh", binary, "deliver"}, test.words...)...)
			out, _ := command.CombinedOutput()
			text := strings.TrimSpace(string(out))
			if command.ProcessState.ExitCode() != test.code || !strings.Contains(text, test.want) || strings.Contains(text, "\n") {
				t.Errorf("exit %d: %q instead of %d: %q", command.ProcessState.ExitCode(), text, test.code, test.want)
			}
		})
	}
	for path, want := range map[string]os.FileMode{destination: 0o644, filepath.Dir(destination): 0o755, filepath.Dir(filepath.Dir(destination)): 0o755} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
	}
}

func TestSecondCollectorOnTheSocketIsRefused(t *testing.T) {
	c := start(t, setup{})
	out, err := exec.Command(binary, "run", "--config", c.config).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "another collector answers") {
		t.Errorf("%v: %s", err, out)
	}
	if code, _ := c.call("health", "ready"); code != 0 {
		t.Error("the first collector lost its socket")
	}
}

func TestHealthWaitsNoLongerThanAsked(t *testing.T) {
	c := start(t, setup{})
	c.stop()
	started := time.Now()
	code, why := c.call("health", "ready", "--wait", "200ms")
	if code != 1 || !strings.Contains(why, "no collector answers") || time.Since(started) < 200*time.Millisecond {
		t.Errorf("%d after %v: %s", code, time.Since(started), why)
	}
}

func TestSocketLeftByAKilledCollector(t *testing.T) {
	c := start(t, setup{})
	c.command.Process.Kill()
	c.command.Wait()
	c.stopped = true
	second := exec.Command(binary, "run", "--config", c.config)
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	defer second.Wait()
	defer second.Process.Kill()
	c.awaitReady()
}

// withCapabilities starts a command as user 0 with only some capabilities.
func withCapabilities(t *testing.T, capabilities string) []string {
	t.Helper()
	if _, err := exec.LookPath("setpriv"); err != nil {
		t.Skip("needs setpriv of util-linux")
	}
	return []string{"setpriv", "--no-new-privs", "--bounding-set=-all" + capabilities, "--inh-caps=-all"}
}

func TestTwoCapabilitiesSuffice(t *testing.T) {
	eachVariant(t, func(t *testing.T, variant string) {
		c := start(t, setup{variant: variant, wrap: withCapabilities(t, ",+bpf,+perfmon")})
		nonce := nonce(t)
		run(t, exec.Command("/bin/true", nonce))
		c.await(1, func(l line) bool { return l.Type == "exec" && l.argument(1) == nonce })
		lines, _ := c.stop()
		for kind, seen := range coverage(t, lines[0]) {
			if !seen {
				t.Errorf("%s is not seen", kind)
			}
		}
	})
}

func coverage(t *testing.T, first line) map[string]bool {
	var events map[string]struct{ Seen bool }
	if err := json.Unmarshal(first.Events, &events); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for kind, one := range events {
		seen[kind] = one.Seen
	}
	return seen
}

func TestFailuresAreOneLineWithTheNextStep(t *testing.T) {
	config := func(text string) []string {
		file := filepath.Join(t.TempDir(), "config.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{binary, "run", "--config", file}
	}
	socket := `{"socket":"` + filepath.Join(t.TempDir(), "socket") + `"}`
	tests := []struct {
		name  string
		words []string
		want  string
	}{
		{"no BPF", append(withCapabilities(t, ",+perfmon"), config(socket)...), "missing capability BPF:"},
		{"no PERFMON", append(withCapabilities(t, ",+bpf"), config(socket)...), "missing capability PERFMON:"},
		{"unknown key", config(`{"sockets":"/x"}`), `unknown key "sockets"`},
		{"ring", config(`{"ring_bytes":5000}`), "ring_bytes: 5000 is not a power of two"},
		{"socket", config(`{"socket":"/proc/x"}`), "mount a writable directory"},
		{"no file", []string{binary, "run", "--config", "/nonexistent"}, "cannot read the configuration"},
		{"command", []string{binary, "walk"}, `unknown command "walk"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			begin := time.Now()
			out, err := exec.Command(test.words[0], test.words[1:]...).CombinedOutput()
			text := strings.TrimSpace(string(out))
			if err == nil || !strings.Contains(text, test.want) || strings.Contains(text, "\n") {
				t.Errorf("%v: %q instead of %q", err, text, test.want)
			}
			if time.Since(begin) > 5*time.Second {
				t.Error("it took too long")
			}
		})
	}
}

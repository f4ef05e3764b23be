package integration

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// backend is a server that keeps each stream's lines under their numbers.
type backend struct {
	*httptest.Server
	t *testing.T

	mutex   sync.Mutex
	streams map[string]map[uint64]string
	batches int
	fault   func(request int, w http.ResponseWriter) bool // true: it has answered
	forget  func(request int) bool                        // true: the answer is lost
	asked   int
}

const token = "token-of-the-backend"

func newBackend(t *testing.T) *backend {
	b := &backend{t: t, streams: make(map[string]map[uint64]string)}
	b.Server = httptest.NewUnstartedServer(b)
	b.Config.ErrorLog = log.New(io.Discard, "", 0)
	b.StartTLS()
	t.Cleanup(b.Close)
	return b
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.asked++
	if r.Header.Get("Authorization") != "Bearer "+token {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	zip, err := gzip.NewReader(r.Body)
	if err != nil {
		return
	}
	scanner := bufio.NewScanner(zip)
	scanner.Buffer(nil, 1<<20)
	scanner.Scan()
	var head line
	if err := json.Unmarshal(scanner.Bytes(), &head); err != nil || head.Type != "batch" || head.Node != "test-node" || head.Stream == "" {
		b.t.Errorf("a batch begins with %q: %v", scanner.Text(), err)
	}
	var lines []string
	for scanner.Scan() {
		lines = append(lines, scanner.Text())
	}
	if scanner.Err() != nil {
		return
	}
	if b.fault != nil && b.fault(b.asked, w) {
		return
	}
	b.batches++
	if b.streams[head.Stream] == nil {
		b.streams[head.Stream] = make(map[uint64]string)
	}
	for i, text := range lines {
		b.streams[head.Stream][head.First+uint64(i)] = text
	}
	if b.forget != nil && b.forget(b.asked) {
		cut(w)
	}
}

func cut(w http.ResponseWriter) {
	if connection, _, err := http.NewResponseController(w).Hijack(); err == nil {
		connection.Close()
	}
}

func (b *backend) set(fault func(int, http.ResponseWriter) bool) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.fault = fault
}

// matching are the lines of the only stream that match.
func (b *backend) matching(match func(line) bool) (found []line) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	for _, lines := range b.streams {
		for _, text := range lines {
			var l line
			if err := json.Unmarshal([]byte(text), &l); err != nil {
				b.t.Errorf("%v: %s", err, text)
			}
			if match(l) {
				found = append(found, l)
			}
		}
	}
	return found
}

func (b *backend) await(count int, match func(line) bool) []line {
	b.t.Helper()
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if found := b.matching(match); len(found) >= count {
			return found
		} else if time.Now().After(deadline) {
			b.t.Fatalf("%d lines instead of %d", len(found), count)
		}
	}
}

// settings are the configuration by which a collector finds the backend.
func (b *backend) settings(url string) map[string]any {
	file := filepath.Join(b.t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return map[string]any{"backend": map[string]string{"url": url, "ca": authority(b.t, b.Server), "token_file": file}}
}

func delivery(t *testing.T, lines []line) line {
	t.Helper()
	last := lines[len(lines)-1]
	if last.Type != "delivery" {
		t.Fatalf("the last line is of type %q", last.Type)
	}
	dropped := uint64(0)
	for _, n := range last.Drops {
		dropped += n
	}
	if last.Given != last.Sent+dropped {
		t.Errorf("given %d, sent %d, dropped %d", last.Given, last.Sent, dropped)
	}
	return last
}

func TestBackendHasWhatStandardOutputHas(t *testing.T) {
	for name, every := range map[string]int{"all is well": 0, "every second answer is lost": 2, "every third connection is cut": 3} {
		t.Run(name, func(t *testing.T) {
			b := newBackend(t)
			b.forget = func(request int) bool { return every == 2 && request%2 == 0 }
			b.fault = func(request int, w http.ResponseWriter) bool {
				if every == 3 && request%3 == 0 {
					cut(w)
					return true
				}
				return false
			}
			compare(t, b)
		})
	}
}

// compare runs a collector and holds what the backend has against its standard output.
func compare(t *testing.T, b *backend) {
	const processes = 500
	c := start(t, setup{config: b.settings(b.URL + "/events")})
	nonce := nonce(t)
	storm(t, 4, processes, func(n int) *exec.Cmd { return exec.Command("/bin/true", nonce, strconv.Itoa(n)) })
	ours := func(l line) bool { return l.Type == "exec" && l.argument(1) == nonce }
	b.await(processes, ours)
	_, text := c.call("health", "ready")
	t.Logf("%s, resident %s", strings.TrimSpace(text), resident(t, c))
	// What is on its way at the stop arrives too.
	storm(t, 1, 20, func(n int) *exec.Cmd { return exec.Command("/bin/true", nonce, "last"+strconv.Itoa(n)) })
	c.await(processes+20, ours)
	lines, balances := c.stop()
	end := delivery(t, lines)
	if got := len(b.matching(ours)); got != processes+20 || len(b.streams) != 1 || end.Sent != end.Given || len(end.Drops) != 0 {
		t.Errorf("%d events of %d, %d streams, %+v", got, processes+20, len(b.streams), end)
	}
	for stream, numbered := range b.streams {
		if stream != end.Stream || uint64(len(numbered)) != end.Given {
			t.Errorf("stream %s has %d lines; %s was given %d", stream, len(numbered), end.Stream, end.Given)
		}
		if first, last := numbered[1], numbered[end.Given]; !strings.HasPrefix(first, `{"type":"coverage"`) || !strings.HasPrefix(last, `{"type":"balance"`) {
			t.Errorf("from %.40s to %.40s", first, last)
		}
	}
	for kind, balance := range balances {
		if got := len(b.matching(func(l line) bool { return l.Type == kind })); uint64(got) != balance.Written {
			t.Errorf("%s: %d at the backend, %d written", kind, got, balance.Written)
		}
	}
	if got := b.matching(func(l line) bool {
		return l.Type == "connect" && l.Process != nil && l.Process.PID == c.command.Process.Pid
	}); len(got) != 0 {
		t.Errorf("the collector tells of its own connections: %+v", got[0])
	}
}

func TestBackendThroughAProxy(t *testing.T) {
	b := newBackend(t)
	proxy := tunnel(t, b.Server)
	c := start(t, setup{config: b.settings("https://example.com:8443/events"), env: []string{"HTTPS_PROXY=" + proxy.URL}})
	nonce := nonce(t)
	run(t, exec.Command("/bin/true", nonce))
	b.await(1, func(l line) bool { return l.argument(1) == nonce })
	lines, _ := c.stop()
	delivery(t, lines)
}

func TestBackendFailsForAWhile(t *testing.T) {
	b := newBackend(t)
	var answers []int
	b.set(func(request int, w http.ResponseWriter) bool {
		status := []int{503, 429, 500, 502, 401}[min(request-1, 4)]
		answers = append(answers, status)
		if status == 500 {
			cut(w)
			return true
		}
		w.WriteHeader(status)
		return true
	})
	c := start(t, setup{config: b.settings(b.URL)})
	nonce := nonce(t)
	storm(t, 2, 50, func(int) *exec.Cmd { return exec.Command("/bin/true", nonce) })
	c.await(50, func(l line) bool { return l.argument(1) == nonce })
	eventually(t, func() bool { b.mutex.Lock(); defer b.mutex.Unlock(); return len(answers) >= 2 })
	if code, why := c.call("health", "ready"); code != 0 {
		t.Errorf("not ready while the backend is away: %s", why)
	}
	b.set(nil)
	b.await(50, func(l line) bool { return l.argument(1) == nonce })
	lines, _ := c.stop()
	if end := delivery(t, lines); end.Sent != end.Given {
		t.Errorf("%+v", end)
	}
	if text := c.stderr.String(); strings.Count(text, "the backend does not take events: it answers 503") != 1 ||
		strings.Count(text, "the backend takes events again") != 1 || strings.Contains(text, token) {
		t.Errorf("standard error: %s", text)
	}
}

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not come")
		}
	}
}

func TestBackendRefusesABatch(t *testing.T) {
	b := newBackend(t)
	b.set(func(request int, w http.ResponseWriter) bool {
		if request == 1 {
			w.WriteHeader(http.StatusUnprocessableEntity)
		}
		return request == 1
	})
	listen := b.settings(b.URL)
	listen["listen"] = "127.0.0.1:18932"
	c := start(t, setup{config: listen})
	nonce := nonce(t)
	gap := func(l line) bool { return l.Type == "gap" && l.Where == "backend" }
	eventually(t, func() bool {
		run(t, exec.Command("/bin/true", nonce))
		return len(c.matching(gap)) == 1
	})
	b.await(1, gap)
	if text := metrics(t, "127.0.0.1:18932"); !strings.Contains(text, `backend_dropped_total{cause="refused",type="record"} 1`) ||
		strings.Contains(text, "backend_batches_total 0") || !strings.Contains(text, "backend_failing 0") {
		t.Error(text)
	}
	lines, _ := c.stop()
	told := gaps(lines, "backend")
	end := delivery(t, lines)
	all := uint64(1)
	for _, n := range told {
		all += n
	}
	// The coverage line was in that batch, which no gap tells of.
	if end.Drops["refused"] != all || len(told) == 0 {
		t.Errorf("%v told, %+v", told, end)
	}
}

func metrics(t *testing.T, address string) string {
	t.Helper()
	response, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestStopWithoutBackend(t *testing.T) {
	b := newBackend(t)
	settings := b.settings(b.URL)
	b.Close()
	c := start(t, setup{config: settings})
	run(t, exec.Command("/bin/true"))
	c.stopped = true
	if err := c.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-c.read
	if err := c.command.Wait(); err != nil {
		t.Fatalf("%v: %s", err, &c.stderr)
	}
	if end := delivery(t, c.lines); end.Drops["stopped"] != end.Given || end.Sent != 0 {
		t.Errorf("%+v", end)
	}
	if !strings.Contains(c.stderr.String(), "connection refused") {
		t.Errorf("standard error: %s", &c.stderr)
	}
}

func TestBackendThatCannotBeUsed(t *testing.T) {
	for name, backend := range map[string]map[string]string{
		"cannot read the certificate authorities": {"url": "https://b.example", "ca": "/nonexistent"},
		"backend.url: not an https URL":           {"url": "http://b.example"},
	} {
		file := filepath.Join(t.TempDir(), "config.json")
		text, _ := json.Marshal(map[string]any{"backend": backend, "socket": filepath.Join(t.TempDir(), "socket")})
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(binary, "run", "--config", file).CombinedOutput()
		if err == nil || !strings.Contains(string(out), name) || strings.Count(string(out), "\n") != 1 {
			t.Errorf("%v: %s", err, fmt.Sprintf("%q", out))
		}
	}
}

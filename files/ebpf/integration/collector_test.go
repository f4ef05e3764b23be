package integration

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var binary string

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	if os.Getuid() != 0 {
		fmt.Println("integration tests skipped: they load eBPF programs and need root")
		return 0
	}
	directory, err := os.MkdirTemp("", "collector-test-")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer os.RemoveAll(directory)
	binary = filepath.Join(directory, "collector")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", binary, "../cmd/collector")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		fmt.Printf("cannot build the collector: %v\n%s", err, output)
		return 1
	}
	return m.Run()
}

// line is a line of output; parts that do not apply are nil.
type line struct {
	Type    string    `json:"type"`
	Time    time.Time `json:"time"`
	Node    string    `json:"node"`
	Cluster string    `json:"cluster"`
	Process *struct {
		ID            string   `json:"id"`
		PID           int      `json:"pid"`
		UID           int      `json:"uid"`
		Comm          string   `json:"comm"`
		Exe           string   `json:"exe"`
		Argv          []string `json:"argv"`
		ArgvTruncated bool     `json:"argv_truncated"`
		Cwd           string   `json:"cwd"`
	} `json:"process"`
	Parent *struct {
		ID   string `json:"id"`
		PID  int    `json:"pid"`
		Comm string `json:"comm"`
	} `json:"parent"`
	Container *struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"container"`
	Pod *struct {
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
		UID       string `json:"uid"`
	} `json:"pod"`
	Exit *struct {
		Code   int `json:"code"`
		Signal int `json:"signal"`
	} `json:"exit"`
	Connection *struct {
		ID     string `json:"id"`
		Family string `json:"family"`
		Local  string `json:"local"`
		Remote string `json:"remote"`
		Error  string `json:"error"`
	} `json:"connection"`
	Stream string            `json:"stream"`
	First  uint64            `json:"first"`
	Given  uint64            `json:"given"`
	Sent   uint64            `json:"sent"`
	Drops  map[string]uint64 `json:"dropped"`
	Where  string            `json:"where"`
	Lost   map[string]uint64 `json:"lost"`
	Events json.RawMessage   `json:"events"`
}

type balance struct {
	Emitted, Lost, Received, Written, Self, Unwanted, Dropped uint64
	OtherNode                                                 uint64 `json:"other_node"`
}

// argument gives the n-th argument, or nothing.
func (l line) argument(n int) string {
	if l.Process == nil || len(l.Process.Argv) <= n {
		return ""
	}
	return l.Process.Argv[n]
}

// collector is one that runs.
type collector struct {
	t       *testing.T
	command *exec.Cmd
	config  string
	stderr  bytes.Buffer
	output  io.ReadCloser

	mutex   sync.Mutex
	lines   []line
	read    chan struct{}
	stopped bool
}

type setup struct {
	variant   string
	config    map[string]any
	env       []string // more variables
	wrap      []string // a command that the collector is started by
	unread    bool     // leave standard output unread
	unawaited bool     // do not wait until it is ready
}

func start(t *testing.T, setup setup) *collector {
	t.Helper()
	directory := t.TempDir()
	settings := map[string]any{
		"socket":   filepath.Join(directory, "collector.sock"),
		"pod_logs": filepath.Join(directory, "log"),
	}
	for key, value := range setup.config {
		settings[key] = value
	}
	text, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{t: t, config: filepath.Join(directory, "collector.json"), read: make(chan struct{})}
	if err := os.WriteFile(c.config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	words := append(append([]string{}, setup.wrap...), binary, "run", "--config", c.config)
	c.command = exec.Command(words[0], words[1:]...)
	c.command.Env = []string{"NODE_NAME=test-node", "PATH=" + os.Getenv("PATH")}
	c.command.Env = append(c.command.Env, setup.env...)
	if setup.variant != "" {
		c.command.Env = append(c.command.Env, "NANOAGENT_TEST_VARIANT="+setup.variant)
	}
	c.command.Stderr = &c.stderr
	output, err := c.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.command.Start(); err != nil {
		t.Fatal(err)
	}
	c.output = output
	t.Cleanup(func() { c.kill() })
	if !setup.unread {
		c.startReading()
	}
	if !setup.unawaited {
		c.awaitReady()
	}
	return c
}

func (c *collector) startReading() {
	go func() {
		defer close(c.read)
		scanner := bufio.NewScanner(c.output)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			var l line
			if err := json.Unmarshal(scanner.Bytes(), &l); err != nil {
				c.t.Errorf("not JSON: %v: %s", err, scanner.Text())
			}
			c.mutex.Lock()
			c.lines = append(c.lines, l)
			c.mutex.Unlock()
		}
	}()
}

func (c *collector) awaitReady() {
	c.t.Helper()
	if code, why := c.call("health", "ready", "--wait", "5s"); code != 0 {
		c.t.Fatalf("not ready after 5 s: %s %s", why, &c.stderr)
	}
}

// call runs another of the collector's commands with the same configuration.
func (c *collector) call(words ...string) (int, string) {
	c.t.Helper()
	command := exec.Command(binary, append(words, "--config", c.config)...)
	output, err := command.Output()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		c.t.Fatal(err)
	}
	return command.ProcessState.ExitCode(), string(output)
}

// await gives the lines that match as soon as there are that many.
func (c *collector) await(count int, match func(line) bool) []line {
	c.t.Helper()
	var found []line
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if found = c.matching(match); len(found) >= count {
			return found
		}
	}
	c.t.Fatalf("%d lines instead of %d after 5 s; standard error: %s", len(found), count, &c.stderr)
	return nil
}

func (c *collector) matching(match func(line) bool) []line {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	var found []line
	for _, l := range c.lines {
		if match(l) {
			found = append(found, l)
		}
	}
	return found
}

// stop ends the collector as a kubelet does, and gives all its lines and the balance.
func (c *collector) stop() ([]line, map[string]balance) {
	c.t.Helper()
	c.stopped = true
	begin := time.Now()
	if err := c.command.Process.Signal(syscall.SIGTERM); err != nil {
		c.t.Fatal(err)
	}
	<-c.read
	if err := c.command.Wait(); err != nil {
		c.t.Fatalf("stopped with %v: %s", err, &c.stderr)
	}
	if took := time.Since(begin); took > 2*time.Second {
		c.t.Errorf("the stop took %s", took)
	}
	last := c.lines[len(c.lines)-1]
	if last.Type == "delivery" {
		// It follows the balance where there is a backend.
		last = c.lines[len(c.lines)-2]
	}
	if last.Type != "balance" {
		c.t.Fatalf("the last line is of type %q", last.Type)
	}
	var balances map[string]balance
	if err := json.Unmarshal(last.Events, &balances); err != nil {
		c.t.Fatal(err)
	}
	for kind, b := range balances {
		if b.Emitted != b.Received+b.Lost {
			c.t.Errorf("%s: %d emitted, but %d received and %d lost", kind, b.Emitted, b.Received, b.Lost)
		}
		if b.Received != b.Written+b.Self+b.OtherNode+b.Unwanted+b.Dropped {
			c.t.Errorf("%s: the balance does not add up: %+v", kind, b)
		}
		if n := uint64(len(c.matching(func(l line) bool { return l.Type == kind }))); n != b.Written {
			c.t.Errorf("%s: %d lines, but %d written", kind, n, b.Written)
		}
	}
	return c.lines, balances
}

func (c *collector) kill() {
	if c.stopped {
		return
	}
	c.stopped = true
	c.command.Process.Kill()
	c.command.Wait()
}

// gaps adds up what the gap records of one place say.
func gaps(lines []line, where string) map[string]uint64 {
	sum := make(map[string]uint64)
	for _, l := range lines {
		if l.Type == "gap" && l.Where == where {
			for kind, n := range l.Lost {
				sum[kind] += n
			}
		}
	}
	return sum
}

// eachVariant runs a test with both builds of the programs.
func eachVariant(t *testing.T, test func(t *testing.T, variant string)) {
	for _, variant := range []string{"tp_btf", "raw_tp"} {
		t.Run(variant, func(t *testing.T) { test(t, variant) })
	}
}

// nonce is a word that no other process on the machine has as an argument.
func nonce(t *testing.T) string {
	return fmt.Sprintf("%s-%d-%d", strings.ReplaceAll(t.Name(), "/", "-"), os.Getpid(), time.Now().UnixNano())
}

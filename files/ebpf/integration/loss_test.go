package integration

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestLostEventsAreCountedExactly(t *testing.T) {
	eachVariant(t, func(t *testing.T, variant string) {
		const processes = 300
		c := start(t, setup{variant: variant, config: map[string]any{"ring_bytes": 64 << 10}})
		nonce := nonce(t)
		c.signal(syscall.SIGSTOP)
		storm(t, 4, processes, func(n int) *exec.Cmd {
			return exec.Command("/bin/true", nonce, strconv.Itoa(n), strings.Repeat("x", 500))
		})
		c.signal(syscall.SIGCONT)
		// Afterwards everything is seen again.
		storm(t, 1, 10, func(int) *exec.Cmd { return exec.Command("/bin/true", nonce+"-after") })
		c.await(10, func(l line) bool { return l.Type == "exec" && l.argument(1) == nonce+"-after" })

		lines, balances := c.stop()
		told := gaps(lines, "ring")
		seen := uint64(len(c.matching(func(l line) bool { return l.Type == "exec" && l.argument(1) == nonce })))
		for kind, b := range balances {
			if b.Lost != told[kind] {
				t.Errorf("%s: %d lost, but gap records say %d", kind, b.Lost, told[kind])
			}
		}
		exec := balances["exec"]
		if exec.Lost == 0 || seen+exec.Lost < processes {
			t.Errorf("of %d processes %d were seen and %d events lost", processes, seen, exec.Lost)
		}
	})
}

func (c *collector) signal(signal syscall.Signal) {
	c.t.Helper()
	if err := c.command.Process.Signal(signal); err != nil {
		c.t.Fatal(err)
	}
	// A stop takes effect when each thread has noticed it.
	time.Sleep(20 * time.Millisecond)
}

func TestBlockedOutputIsCounted(t *testing.T) {
	const processes = 1600
	c := start(t, setup{unread: true})
	storm(t, 4, processes, func(int) *exec.Cmd {
		return exec.Command("/bin/true", strings.Repeat("x", 3900))
	})
	if code, out := c.call("health", "live"); code != 0 {
		t.Errorf("not healthy while output is slow: %s", out)
	}
	c.startReading()
	c.await(1, func(l line) bool { return l.Type == "gap" && l.Where == "output" })
	lines, balances := c.stop()
	told := gaps(lines, "output")
	for kind, b := range balances {
		if b.Dropped != told[kind] {
			t.Errorf("%s: %d dropped, but gap records say %d", kind, b.Dropped, told[kind])
		}
	}
	if balances["exec"].Dropped == 0 {
		t.Error("nothing was dropped, so this tested nothing")
	}
}

func TestStopWhileOutputIsBlocked(t *testing.T) {
	c := start(t, setup{unread: true})
	storm(t, 4, 100, func(int) *exec.Cmd { return exec.Command("/bin/true", strings.Repeat("x", 3900)) })
	c.stopped = true
	begin := time.Now()
	c.command.Process.Signal(syscall.SIGTERM)
	err := c.command.Wait()
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("the stop took %s", took)
	}
	if err == nil || !strings.Contains(c.stderr.String(), "standard output did not take the last lines") {
		t.Errorf("ended with %v: %q", err, &c.stderr)
	}
}

func TestFirstLineIsCoverageAndLastIsBalance(t *testing.T) {
	c := start(t, setup{})
	lines, _ := c.stop()
	if lines[0].Type != "coverage" {
		t.Errorf("the first line is of type %q", lines[0].Type)
	}
	var coverage map[string]struct {
		Seen bool
		Hook string
	}
	if err := json.Unmarshal(lines[0].Events, &coverage); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"exec", "fork", "exit", "connect", "accept"} {
		if !coverage[kind].Seen || coverage[kind].Hook == "" {
			t.Errorf("%s: %+v", kind, coverage[kind])
		}
	}
	if _, err := os.Stat(strings.TrimSuffix(c.config, ".json") + ".sock"); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

func TestFirstEventIsFast(t *testing.T) {
	begin := time.Now()
	c := start(t, setup{unread: true, unawaited: true})
	decoder := json.NewDecoder(c.output)
	run(t, exec.Command("/bin/true"))
	for {
		var l line
		if err := decoder.Decode(&l); err != nil {
			t.Fatal(err, &c.stderr)
		}
		if l.Type != "coverage" {
			break
		}
		// Something has to happen for there to be an event.
		run(t, exec.Command("/bin/true"))
	}
	took := time.Since(begin)
	go io.Copy(io.Discard, c.output)
	c.awaitReady()
	t.Logf("start to first event %s, resident %s", took, resident(t, c))
	if took > 2*time.Second {
		t.Errorf("the first event came after %s", took)
	}
}

func resident(t *testing.T, c *collector) string {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(c.command.Process.Pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for part := range strings.Lines(string(status)) {
		if size, ok := strings.CutPrefix(part, "VmRSS:"); ok {
			return strings.TrimSpace(size)
		}
	}
	return "unknown"
}

func TestClosedOutputEndsTheCollector(t *testing.T) {
	c := start(t, setup{unread: true})
	c.output.Close()
	c.stopped = true
	storm(t, 1, 5, func(int) *exec.Cmd { return exec.Command("/bin/true") })
	if err := c.command.Wait(); err == nil || !strings.Contains(c.stderr.String(), "broken pipe") {
		t.Errorf("ended with %v: %q", err, &c.stderr)
	}
}

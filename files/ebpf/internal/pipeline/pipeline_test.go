package pipeline

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nanoagent.io/collector/internal/event"
	"nanoagent.io/collector/internal/output"
	"nanoagent.io/collector/internal/pods"
	"nanoagent.io/collector/internal/proof"
)

const (
	uid      = "2c9d0b1e-aaaa-bbbb-cccc-0123456789ab"
	ownPath  = "/node/kubepods/podffffffffffffffffffffffffffffffff/own"
	ownPID   = 100
	ownStart = 1
)

// bench is a pipeline without a kernel: records are handed to it directly.
type bench struct {
	*Pipeline
	t    *testing.T
	logs string
	out  bytes.Buffer
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, logs: t.TempDir()}
	for _, directory := range []string{"pods", "containers"} {
		if err := os.Mkdir(filepath.Join(b.logs, directory), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b.Pipeline = New(Parts{
		Format: output.NewFormat("boot", "n1", "", nil), Queue: output.NewQueue(&b.out),
		Directory: pods.New(b.logs), Proofs: proof.NewMemory(), Nonce: "start",
		Events: map[event.Type]bool{event.Exec: true, event.Fork: true, event.Exit: true, event.Accept: true},
	})
	b.now, b.podLogs = time.Now(), true
	return b
}

// started is a bench whose self test is over.
func started(t *testing.T) *bench {
	b := newBench(t)
	b.handle(fact{kind: event.Exec, pid: 101, parent: ownPID, path: ownPath, argv: "/c\x00selftest\x00start\x00"}.record())
	return b
}

// fact is what a test says about an event.
type fact struct {
	kind        event.Type
	pid, parent uint32
	path, argv  string
	flags       event.Flags
}

func (f fact) record() []byte {
	le := binary.LittleEndian
	names := strings.Split(strings.TrimPrefix(f.path, "/"), "/")
	var cgroup string
	for n := len(names) - 1; n >= 0 && f.path != ""; n-- {
		cgroup += names[n] + "\x00"
	}
	size := 88
	if f.kind == event.Accept {
		size += 48
	}
	record := make([]byte, size)
	le.PutUint64(record[8:], ownStart)
	le.PutUint64(record[16:], ownStart)
	le.PutUint32(record[24:], f.pid)
	le.PutUint32(record[28:], f.parent)
	le.PutUint16(record[76:], uint16(f.kind))
	le.PutUint16(record[78:], uint16(f.flags))
	le.PutUint16(record[80:], 2)
	le.PutUint16(record[84:], uint16(len(f.argv)))
	le.PutUint16(record[86:], uint16(len(cgroup)))
	return append(record, "c\x00"+f.argv+cgroup...)
}

func containerPath(n int) (path, id string) {
	id = fmt.Sprintf("%064x", n)
	return "/node/kubepods/pod" + uid + "/" + id, id
}

// lines are the numbers and container names of what was written so far.
func (b *bench) lines() []string {
	b.t.Helper()
	b.queue.Close(time.Second)
	var said []string
	for text := range strings.Lines(b.out.String()) {
		var l struct {
			Type    string
			Process struct {
				PID int
			}
			Container struct{ Name string }
			Lost      map[string]int
		}
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			b.t.Fatal(err, text)
		}
		said = append(said, strings.TrimSpace(fmt.Sprintf("%s %d %s", l.Type, l.Process.PID, l.Container.Name)))
	}
	return said
}

func (b *bench) expect(want ...string) {
	b.t.Helper()
	if got := b.lines(); strings.Join(got, ", ") != strings.Join(want, ", ") {
		b.t.Errorf("%q instead of %q", got, want)
	}
}

func (b *bench) later(wait time.Duration) {
	b.now = b.now.Add(wait)
	b.releaseReady()
}

func (b *bench) link(id, name string) {
	b.t.Helper()
	if err := os.Symlink("x", filepath.Join(b.logs, "containers", "p_ns_"+name+"-"+id+".log")); err != nil {
		b.t.Fatal(err)
	}
}

func TestEventsBeforeTheSelfTestWait(t *testing.T) {
	b := newBench(t)
	b.handle(fact{kind: event.Exit, pid: 1, path: "/node/system"}.record())
	b.handle(fact{kind: event.Exit, pid: 2, path: "/other/system"}.record())
	b.handle(fact{kind: event.Fork, pid: 101, parent: ownPID, path: ownPath}.record())
	if b.Status().Ready {
		t.Error("ready before the self test")
	}
	b.handle(fact{kind: event.Exec, pid: 101, parent: ownPID, path: ownPath, argv: "/c\x00selftest\x00wrong\x00"}.record())
	b.handle(fact{kind: event.Exec, pid: 101, parent: ownPID, path: ownPath, argv: "/c\x00selftest\x00start\x00"}.record())
	b.handle(fact{kind: event.Exit, pid: 101, parent: ownPID, path: ownPath}.record())
	<-b.Ready
	if b.balance[event.Exit].OtherNode != 1 || b.balance[event.Exec].Self != 2 || b.balance[event.Fork].Self != 1 || b.balance[event.Exit].Self != 1 {
		t.Errorf("%+v", b.balance)
	}
	b.expect("exit 1")
}

func TestTooManyEventsBeforeTheSelfTest(t *testing.T) {
	b := newBench(t)
	for range maxStart + 5 {
		b.handle(fact{kind: event.Fork, pid: 1, path: "/other"}.record())
	}
	b.tellEarly()
	if b.balance[event.Fork].Dropped != 5 || b.earlyLost[event.Fork] != 0 {
		t.Errorf("%+v", b.balance[event.Fork])
	}
	b.expect("gap 0")
}

func TestHealthChecksAreItsOwnMatter(t *testing.T) {
	b := started(t)
	b.handle(fact{kind: event.Exec, pid: 5, path: ownPath, argv: "/c\x00health\x00live\x00"}.record())
	b.handle(fact{kind: event.Exit, pid: 5, path: ownPath}.record())
	b.handle(fact{kind: event.Exec, pid: 6, path: "/node/elsewhere", argv: "/c\x00health\x00live\x00"}.record())
	b.expect("exec 6")
}

func TestMarkersAreRemembered(t *testing.T) {
	b := started(t)
	b.handle(fact{kind: event.Exec, pid: 5, path: "/node/x", argv: "/c\x00prove\x00nonce\x00"}.record())
	b.handle(fact{kind: event.Exec, pid: 6, path: "/other/x", argv: "/c\x00prove\x00foreign\x00"}.record())
	b.expect("exec 5")
}

func TestHeldEventsKeepTheirOrder(t *testing.T) {
	b := started(t)
	path, id := containerPath(1)
	for pid := range uint32(5) {
		b.handle(fact{kind: event.Exit, pid: pid + 1, path: path}.record())
	}
	b.handle(fact{kind: event.Exit, pid: 50, path: "/node/system"}.record())
	b.later(100 * time.Millisecond)
	b.link(id, "web")
	b.later(100 * time.Millisecond)
	b.handle(fact{kind: event.Exit, pid: 6, path: path}.record())
	b.expect("exit 50", "exit 1 web", "exit 2 web", "exit 3 web", "exit 4 web", "exit 5 web", "exit 6 web")
}

func TestNamesAreLookedForAgain(t *testing.T) {
	b := started(t)
	path, id := containerPath(1)
	b.handle(fact{kind: event.Exit, pid: 1, path: path}.record())
	b.later(holdFor)
	b.handle(fact{kind: event.Exit, pid: 2, path: path}.record())
	b.link(id, "web")
	b.later(retryFirst / 2)
	b.handle(fact{kind: event.Exit, pid: 3, path: path}.record())
	b.later(retryFirst)
	b.handle(fact{kind: event.Exit, pid: 4, path: path}.record())
	b.expect("exit 1", "exit 2", "exit 3", "exit 4 web")
}

func TestNothingGrowsWithChurn(t *testing.T) {
	b := started(t)
	for n := range 3 * maxPlaces {
		path, _ := containerPath(n)
		b.handle(fact{kind: event.Exit, pid: uint32(n + 1000), path: path}.record())
		if b.held > maxHeld || len(b.waiting) > maxHeld {
			t.Fatalf("%d events wait", b.held)
		}
	}
	b.releaseAll()
	if b.places.Len() > maxPlaces || b.held != 0 || b.heldBytes != 0 || len(b.waiting) != 0 {
		t.Errorf("%d places, %d events, %d bytes", b.places.Len(), b.held, b.heldBytes)
	}
	// The queue may be full for a moment, which is counted.
	if sum := b.balance[event.Exit].Written + b.balance[event.Exit].Dropped; sum != 3*maxPlaces {
		t.Errorf("%d of %d events are accounted for", sum, 3*maxPlaces)
	}
}

func TestNoHoldingWithoutLogDirectory(t *testing.T) {
	b := started(t)
	b.podLogs = false
	path, _ := containerPath(1)
	b.handle(fact{kind: event.Exit, pid: 1, path: path}.record())
	b.expect("exit 1")
}

func TestConnectionOfAnUnknownProcess(t *testing.T) {
	b := started(t)
	b.handle(fact{kind: event.Accept, flags: event.NoProcess}.record())
	if b.balance[event.Accept].OtherNode != 1 || b.ownerless[event.Accept] != 1 {
		t.Errorf("below a node's root: %+v", b.balance[event.Accept])
	}
	b.nodeRoot = ""
	b.handle(fact{kind: event.Accept, flags: event.NoProcess}.record())
	b.expect("accept 0")
}

func TestUnwantedAndMalformed(t *testing.T) {
	b := started(t)
	delete(b.events, event.Exit)
	b.handle(fact{kind: event.Exit, pid: 1, path: "/node"}.record())
	b.handle([]byte("nonsense"))
	if b.balance[event.Exit].Unwanted != 1 || b.malformed != 1 {
		t.Errorf("%+v, %d", b.balance[event.Exit], b.malformed)
	}
	b.expect()
}

func TestCutPathIsKept(t *testing.T) {
	b := started(t)
	b.handle(fact{kind: event.Exit, pid: 1, path: "/deep/inside", flags: event.CgroupTruncated}.record())
	b.expect("exit 1")
}

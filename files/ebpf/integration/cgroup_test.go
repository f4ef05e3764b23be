package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	uid       = "0b2c3d4e-1111-2222-3333-444455556666"
	container = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	another   = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	ownUID    = "99999999-1111-2222-3333-444455556666"
	ownID     = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
)

// hierarchy is where containers have their directories on this machine.
func hierarchy() string {
	if info, err := os.Stat("/sys/fs/cgroup/pids"); err == nil && info.IsDir() {
		return "/sys/fs/cgroup/pids"
	}
	return "/sys/fs/cgroup"
}

// cgroup makes a directory below a root of this test's own.
func cgroup(t *testing.T, path ...string) string {
	t.Helper()
	return cgroupBelow(t, hierarchy(), path...)
}

func cgroupBelow(t *testing.T, mount string, path ...string) string {
	t.Helper()
	root := filepath.Join(mount, fmt.Sprintf("nanoagent-test-%d", os.Getpid()))
	directory := filepath.Join(append([]string{root}, path...)...)
	if err := os.MkdirAll(directory, 0o755); err != nil {
		t.Skip("cannot make a cgroup here: ", err)
	}
	t.Cleanup(func() {
		removeEmptied(directory)
		for at := filepath.Dir(directory); strings.HasPrefix(at, root) && os.Remove(at) == nil; {
			at = filepath.Dir(at)
		}
	})
	return directory
}

// removeEmptied waits for the last process to be gone from the cgroup.
func removeEmptied(directory string) {
	for range 100 {
		if err := os.Remove(directory); err == nil || os.IsNotExist(err) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// inside makes a command that starts a program in a cgroup.
func inside(directory string) []string {
	return []string{"/bin/sh", "-c", `echo $$ > "$0"/cgroup.procs && exec "$@"`, directory}
}

func runInside(t *testing.T, directory string, words ...string) {
	t.Helper()
	words = append(inside(directory), words...)
	run(t, exec.Command(words[0], words[1:]...))
}

func makePodLogs(t *testing.T, logs string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(logs, "pods", "shop_cart-0_"+uid), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(logs, "containers"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func linkContainer(t *testing.T, logs, name, id string) {
	t.Helper()
	link := filepath.Join(logs, "containers", "cart-0_shop_"+name+"-"+id+".log")
	if err := os.Symlink("../pods/shop_cart-0_"+uid+"/"+name+"/0.log", link); err != nil {
		t.Error(err)
	}
}

func TestNamesOfPodAndContainer(t *testing.T) {
	eachVariant(t, func(t *testing.T, variant string) {
		place := cgroup(t, "kubepods", "burstable", "pod"+uid, container)
		logs := t.TempDir()
		makePodLogs(t, logs)
		linkContainer(t, logs, "web", container)
		c := start(t, setup{variant: variant, config: map[string]any{"pod_logs": logs}})
		nonce := nonce(t)
		runInside(t, place, "/bin/true", nonce)
		exec := c.await(1, func(l line) bool { return l.Type == "exec" && l.argument(1) == nonce })[0]
		exit := c.await(1, func(l line) bool { return l.Type == "exit" && l.Process.ID == exec.Process.ID })[0]
		for _, l := range []line{exec, exit} {
			if l.Container == nil || l.Container.ID != container || l.Container.Name != "web" {
				t.Errorf("container %+v", l.Container)
			}
			if l.Pod == nil || l.Pod.UID != uid || l.Pod.Namespace != "shop" || l.Pod.Name != "cart-0" {
				t.Errorf("pod %+v", l.Pod)
			}
		}
	})
}

func TestConnectionHasItsPod(t *testing.T) {
	place := cgroup(t, "kubepods", "burstable", "pod"+uid, container)
	logs := t.TempDir()
	makePodLogs(t, logs)
	linkContainer(t, logs, "web", container)
	c := start(t, setup{config: map[string]any{"pod_logs": logs}})
	words := inside(place)
	// A health check of a collector that is not there connects and is refused.
	script := `import socket, sys
listener = socket.socket(); listener.bind(("127.0.0.1", 0)); listener.listen()
socket.create_connection(listener.getsockname())
print(listener.getsockname()[1])`
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("needs python3")
	}
	out, err := exec.Command(words[0], append(words[1:], python, "-c", script)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	address := "127.0.0.1:" + strings.TrimSpace(string(out))
	connect := c.await(1, func(l line) bool { return l.Type == "connect" && l.Connection.Remote == address })[0]
	accept := c.await(1, func(l line) bool { return l.Type == "accept" && l.Connection.Local == address })[0]
	for _, l := range []line{connect, accept} {
		if l.Pod == nil || l.Pod.Name != "cart-0" || l.Container == nil || l.Container.Name != "web" {
			t.Errorf("%s in %+v %+v", l.Type, l.Pod, l.Container)
		}
	}
}

func TestNamesThatComeALittleLater(t *testing.T) {
	place := cgroup(t, "kubepods", "besteffort", "pod"+uid, another)
	logs := t.TempDir()
	makePodLogs(t, logs)
	c := start(t, setup{config: map[string]any{"pod_logs": logs}})
	nonce := nonce(t)
	time.AfterFunc(100*time.Millisecond, func() { linkContainer(t, logs, "late", another) })
	for n := range 5 {
		runInside(t, place, "/bin/true", nonce, fmt.Sprint(n))
	}
	for n, l := range c.await(5, func(l line) bool { return l.Type == "exec" && l.argument(1) == nonce }) {
		if l.Container.Name != "late" {
			t.Errorf("event %d has container %+v", n, l.Container)
		}
		if l.argument(2) != fmt.Sprint(n) {
			t.Errorf("event %s in place of %d", l.argument(2), n)
		}
	}
}

func TestNamesThatNeverCome(t *testing.T) {
	place := cgroup(t, "kubepods", "besteffort", "pod"+uid, another)
	logs := t.TempDir()
	makePodLogs(t, logs)
	c := start(t, setup{config: map[string]any{"pod_logs": logs}})
	nonce := nonce(t)
	begin := time.Now()
	runInside(t, place, "/bin/true", nonce)
	l := c.await(1, func(l line) bool { return l.Type == "exec" && l.argument(1) == nonce })[0]
	if took := time.Since(begin); took < 1500*time.Millisecond || took > 4*time.Second {
		t.Errorf("the event was held for %s", took)
	}
	if l.Container.Name != "" || l.Container.ID != another || l.Pod.Name != "cart-0" || l.Pod.UID != uid {
		t.Errorf("%+v %+v", l.Container, l.Pod)
	}
	begin = time.Now()
	runInside(t, place, "/bin/true", nonce+"-again")
	c.await(1, func(l line) bool { return l.Type == "exec" && l.argument(1) == nonce+"-again" })
	if took := time.Since(begin); took > 200*time.Millisecond {
		t.Errorf("a later event was held too, for %s", took)
	}
}

func TestSystemdForm(t *testing.T) {
	slice := "kubepods-burstable-pod" + strings.ReplaceAll(uid, "-", "_") + ".slice"
	place := cgroup(t, "kubepods.slice", "kubepods-burstable.slice", slice, "cri-containerd-"+container+".scope")
	c := start(t, setup{})
	nonce := nonce(t)
	runInside(t, place, "/bin/true", nonce)
	l := c.await(1, func(l line) bool { return l.Type == "exec" && l.argument(1) == nonce })[0]
	if l.Container == nil || l.Container.ID != container || l.Pod == nil || l.Pod.UID != uid {
		t.Errorf("%+v %+v", l.Container, l.Pod)
	}
}

// TestUnifiedHierarchyOfAHybridMachine covers the way of cgroup v2 on a
// machine that has v1 too: a process in the root of v1's controllers counts
// by its directory in v2.
func TestUnifiedHierarchyOfAHybridMachine(t *testing.T) {
	const unified, memory = "/sys/fs/cgroup/unified", "/sys/fs/cgroup/memory"
	for _, needed := range []string{unified, memory} {
		if _, err := os.Stat(needed + "/cgroup.procs"); err != nil {
			t.Skip("not a hybrid machine: ", err)
		}
	}
	place := cgroupBelow(t, unified, "kubepods", "burstable", "pod"+uid, container)
	c := start(t, setup{})
	nonce := nonce(t)
	words := append(inside(place), inside(memory)...)
	words = append(words, "/bin/true", nonce)
	run(t, exec.Command(words[0], words[1:]...))
	l := c.await(1, func(l line) bool { return l.Type == "exec" && l.argument(1) == nonce })[0]
	if l.Container == nil || l.Container.ID != container || l.Pod == nil || l.Pod.UID != uid {
		t.Errorf("%+v %+v", l.Container, l.Pod)
	}
}

func TestOtherNodesOfTheKernel(t *testing.T) {
	own := cgroup(t, "node1", "kubepods", "pod"+ownUID, ownID)
	same := cgroup(t, "node1", "kubepods", "burstable", "pod"+uid, container)
	other := cgroup(t, "node2", "kubepods", "burstable", "pod"+uid, another)
	c := start(t, setup{wrap: inside(own)})
	nonce := nonce(t)
	runInside(t, other, "/bin/true", nonce, "other")
	run(t, exec.Command("/bin/true", nonce, "outside"))
	runInside(t, same, "/bin/true", nonce, "same")
	c.await(1, func(l line) bool { return l.Type == "exec" && l.argument(2) == "same" })

	// A proof is for one node: a marker on another one does not count.
	words := append(inside(own), binary, "prove", nonce, "--config", c.config)
	if out, err := exec.Command(words[0], words[1:]...).Output(); err != nil {
		t.Errorf("prove on the own node: %v: %s", err, out)
	}
	words = append(inside(other), binary, "prove", nonce+"-other", "--timeout", "300ms", "--config", c.config)
	err := exec.Command(words[0], words[1:]...).Run()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 3 {
		t.Errorf("prove on the other node: %v", err)
	}

	// Health checks in the collector's own container are its own matter.
	words = append(inside(own), binary, "health", "ready", "--config", c.config)
	run(t, exec.Command(words[0], words[1:]...))
	time.Sleep(100 * time.Millisecond)
	_, balances := c.stop()
	if n := len(c.matching(func(l line) bool { return l.argument(1) == nonce })); n != 1 {
		t.Errorf("%d events instead of the one on this node", n)
	}
	if n := len(c.matching(func(l line) bool { return l.argument(1) == "health" })); n != 0 {
		t.Errorf("%d health checks among the events", n)
	}
	if n := len(c.matching(func(l line) bool { return l.argument(1) == "prove" })); n != 1 {
		t.Errorf("%d proofs among the events instead of 1", n)
	}
	if balances["exec"].OtherNode == 0 || balances["exec"].Self != 2 {
		t.Errorf("%+v", balances["exec"])
	}
}

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestEachExecAndExitOfAStorm(t *testing.T) {
	eachVariant(t, func(t *testing.T, variant string) {
		const processes, workers = 400, 4
		c := start(t, setup{variant: variant})
		nonce := nonce(t)
		storm(t, workers, processes, func(n int) *exec.Cmd {
			return exec.Command("/bin/sh", "-c", "exit "+strconv.Itoa(n%256), nonce, strconv.Itoa(n))
		})
		execs := c.await(processes, func(l line) bool { return l.Type == "exec" && l.argument(3) == nonce })
		number := make(map[string]int)
		for _, l := range execs {
			number[l.Process.ID], _ = strconv.Atoi(l.argument(4))
			if l.Parent.PID != os.Getpid() || l.Process.UID != 0 || !strings.HasSuffix(l.Process.Exe, "sh") {
				t.Fatalf("wrong facts: %+v %+v", l.Process, l.Parent)
			}
		}
		if len(execs) != processes || len(number) != processes {
			t.Fatalf("%d exec events with %d ids instead of %d", len(execs), len(number), processes)
		}
		own := func(l line) bool {
			_, ok := number[l.Process.ID]
			return ok
		}
		exits := c.await(processes, func(l line) bool { return l.Type == "exit" && own(l) })
		for _, l := range exits {
			if l.Exit.Code != number[l.Process.ID]%256 || l.Exit.Signal != 0 {
				t.Errorf("process %d ended with %+v", number[l.Process.ID], l.Exit)
			}
		}
		forks := c.await(processes, func(l line) bool { return l.Type == "fork" && own(l) })
		c.stop()
		if len(exits) != processes || len(forks) != processes {
			t.Errorf("%d exits and %d forks instead of %d", len(exits), len(forks), processes)
		}
	})
}

func storm(t *testing.T, workers, processes int, command func(n int) *exec.Cmd) {
	t.Helper()
	var group sync.WaitGroup
	for worker := range workers {
		group.Add(1)
		go func() {
			defer group.Done()
			for n := worker; n < processes; n += workers {
				// The exit code is part of some workloads.
				if err := command(n).Run(); err != nil && !strings.HasPrefix(err.Error(), "exit status") {
					t.Error(err)
				}
			}
		}()
	}
	group.Wait()
}

func TestForkWithoutExec(t *testing.T) {
	eachVariant(t, func(t *testing.T, variant string) {
		c := start(t, setup{variant: variant})
		nonce := nonce(t)
		run(t, exec.Command("/bin/sh", "-c", "(exit 5) & wait; :", nonce))
		shell := c.await(1, func(l line) bool { return l.Type == "exec" && l.argument(3) == nonce })[0]
		child := c.await(1, func(l line) bool { return l.Type == "fork" && l.Parent.ID == shell.Process.ID })[0]
		exit := c.await(1, func(l line) bool { return l.Type == "exit" && l.Process.ID == child.Process.ID })[0]
		if exit.Exit.Code != 5 {
			t.Errorf("exit code %d instead of 5", exit.Exit.Code)
		}
		if n := len(c.matching(func(l line) bool { return l.Type == "exec" && l.Process.ID == child.Process.ID })); n != 0 {
			t.Errorf("%d exec events of a process that did none", n)
		}
	})
}

func TestSignalEndsProcess(t *testing.T) {
	c := start(t, setup{})
	nonce := nonce(t)
	exec.Command("/bin/sh", "-c", "kill -9 $$", nonce).Run()
	shell := c.await(1, func(l line) bool { return l.Type == "exec" && l.argument(3) == nonce })[0]
	exit := c.await(1, func(l line) bool { return l.Type == "exit" && l.Process.ID == shell.Process.ID })[0]
	if exit.Exit.Signal != 9 || exit.Exit.Code != 0 {
		t.Errorf("%+v instead of signal 9", exit.Exit)
	}
}

func TestOneExitForAllThreads(t *testing.T) {
	eachVariant(t, func(t *testing.T, variant string) {
		const processes = 60
		c := start(t, setup{variant: variant})
		nonce := nonce(t)
		// A program in Go has several threads.
		storm(t, 4, processes, func(int) *exec.Cmd {
			command := exec.Command(binary, "version")
			command.Args[0] = nonce
			return command
		})
		own := make(map[string]bool)
		for _, l := range c.await(processes, func(l line) bool { return l.Type == "exec" && l.argument(0) == nonce }) {
			own[l.Process.ID] = true
		}
		exits := c.await(processes, func(l line) bool { return l.Type == "exit" && own[l.Process.ID] })
		time.Sleep(100 * time.Millisecond)
		exits = c.matching(func(l line) bool { return l.Type == "exit" && own[l.Process.ID] })
		forks := c.matching(func(l line) bool { return l.Type == "fork" && own[l.Process.ID] })
		if len(exits) != processes || len(forks) != processes {
			t.Errorf("%d exits and %d forks of %d processes", len(exits), len(forks), processes)
		}
	})
}

func TestExecByAnotherThread(t *testing.T) {
	eachVariant(t, func(t *testing.T, variant string) {
		python, err := exec.LookPath("python3")
		if err != nil {
			t.Skip("needs python3")
		}
		c := start(t, setup{variant: variant})
		nonce := nonce(t)
		script := `import os, sys, threading
threading.Thread(target=os.execv, args=("/bin/sh", ["sh", "-c", "exit 9", sys.argv[1]])).start()
threading.Event().wait()`
		exec.Command(python, "-c", script, nonce).Run()
		shell := c.await(1, func(l line) bool { return l.Type == "exec" && l.argument(0) == "sh" && l.argument(3) == nonce })[0]
		same := func(kind string) func(line) bool {
			return func(l line) bool { return l.Type == kind && l.Process.ID == shell.Process.ID }
		}
		c.await(1, same("exit"))
		time.Sleep(50 * time.Millisecond)
		exits := c.matching(same("exit"))
		// There are more than two where python3 is a script that finds the real one.
		if len(c.matching(same("fork"))) != 1 || len(c.matching(same("exec"))) < 2 || len(exits) != 1 || exits[0].Exit.Code != 9 {
			t.Errorf("the process does not keep its id: %+v", exits)
		}
	})
}

func TestExecFacts(t *testing.T) {
	c := start(t, setup{config: map[string]any{"cluster": "c1", "tags": map[string]string{"team": "a"}}})
	nonce := nonce(t)
	command := exec.Command("/bin/true", nonce, "", "\xff\"\\\n", "grüße")
	command.Dir = "/usr/share"
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1234, Gid: 2345}}
	run(t, command)
	l := c.await(1, func(l line) bool { return l.Type == "exec" && l.argument(1) == nonce })[0]
	want := []string{"/bin/true", nonce, "", "\ufffd\"\\\n", "grüße"}
	if fmt.Sprint(l.Process.Argv) != fmt.Sprint(want) || l.Process.ArgvTruncated {
		t.Errorf("arguments %q instead of %q", l.Process.Argv, want)
	}
	if l.Process.Cwd != "/usr/share" || l.Process.UID != 1234 || !strings.HasSuffix(l.Process.Exe, "/bin/true") {
		t.Errorf("wrong facts: %+v", l.Process)
	}
	if l.Node != "test-node" || l.Cluster != "c1" {
		t.Errorf("node %q and cluster %q", l.Node, l.Cluster)
	}
	if since := time.Since(l.Time); since < 0 || since > time.Minute {
		t.Errorf("the event's time is %s", l.Time)
	}
}

func TestLongArgumentsAreCut(t *testing.T) {
	c := start(t, setup{})
	nonce := nonce(t)
	run(t, exec.Command("/bin/true", nonce, strings.Repeat("x", 10000)))
	l := c.await(1, func(l line) bool { return l.Type == "exec" && l.argument(1) == nonce })[0]
	if size := len(strings.Join(l.Process.Argv, " ")); !l.Process.ArgvTruncated || size < 2000 || size > 4096 {
		t.Errorf("%d bytes of arguments, truncated: %v", size, l.Process.ArgvTruncated)
	}
}

func TestPathInsideMountsAndChroot(t *testing.T) {
	c := start(t, setup{})
	nonce := nonce(t)
	root := t.TempDir()
	copyFile(t, binary, root+"/program")
	command := exec.Command("/program", "version", nonce)
	command.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	command.Dir = "/"
	run(t, command)
	l := c.await(1, func(l line) bool { return l.Type == "exec" && l.argument(2) == nonce })[0]
	if l.Process.Exe != "/program" || l.Process.Cwd != "/" {
		t.Errorf("%q in %q instead of /program in /", l.Process.Exe, l.Process.Cwd)
	}
}

func TestParentAfterTheFirstIsGone(t *testing.T) {
	c := start(t, setup{})
	nonce := nonce(t)
	// The inner shell starts only when the outer one is gone.
	run(t, exec.Command("/bin/sh", "-c", "(while kill -0 $$ 2>/dev/null; do sleep 0.01; done; exec /bin/true "+nonce+") &"))
	l := c.await(1, func(l line) bool { return l.Type == "exec" && l.argument(1) == nonce })[0]
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", l.Parent.PID))
	if err != nil || strings.TrimSpace(string(status)) != l.Parent.Comm {
		t.Errorf("the parent %+v is not the one that took over (%s, %v)", l.Parent, status, err)
	}
}

func TestNumberUsedAgainHasAnotherID(t *testing.T) {
	c := start(t, setup{})
	var pid int
	for attempt := range 3 {
		next, err := forkWithNumber(pid)
		if err != nil {
			t.Skip("cannot choose a process number here: ", err)
		}
		if attempt > 0 && next != pid {
			t.Fatalf("process number %d instead of %d", next, pid)
		}
		pid = next
	}
	ids := make(map[string]bool)
	for _, l := range c.await(3, func(l line) bool { return l.Type == "exit" && l.Process.PID == pid && l.Exit.Code == 7 }) {
		ids[l.Process.ID] = true
	}
	if len(ids) != 3 {
		t.Errorf("%d ids of 3 processes that had one number", len(ids))
	}
}

// forkWithNumber makes a process that ends at once with code 7, with a
// process number that was free before; 0 lets the kernel choose.
func forkWithNumber(number int) (int, error) {
	type arguments struct {
		flags, pidfd, childTID, parentTID, exitSignal, stack, stackSize, tls, setTID, setTIDSize uint64
	}
	wanted := int32(number)
	a := arguments{exitSignal: uint64(unix.SIGCHLD)}
	if number != 0 {
		a.setTID, a.setTIDSize = uint64(uintptr(unsafe.Pointer(&wanted))), 1
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pid, _, errno := syscall.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&a)), unsafe.Sizeof(a), 0)
	if errno == 0 && pid == 0 {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 7, 0, 0)
	}
	runtime.KeepAlive(&wanted)
	if errno != 0 {
		return 0, errno
	}
	var status unix.WaitStatus
	_, err := unix.Wait4(int(pid), &status, 0, nil)
	return int(pid), err
}

func run(t *testing.T, command *exec.Cmd) {
	t.Helper()
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", command, err, output)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, content, 0o755); err != nil {
		t.Fatal(err)
	}
}

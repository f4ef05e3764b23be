package integration

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestConnectAndAccept(t *testing.T) {
	eachVariant(t, func(t *testing.T, variant string) {
		c := start(t, setup{variant: variant})
		for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
			connectAndCheck(t, c, address)
		}
	})
}

func connectAndCheck(t *testing.T, c *collector, address string) {
	const connections = 50
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	var local []string
	for range connections {
		connection, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		local = append(local, connection.LocalAddr().String())
		accepted, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		accepted.Close()
		connection.Close()
	}
	server := listener.Addr().String()
	listener.Close()
	for range connections {
		if _, err := net.Dial("tcp", server); err == nil {
			t.Fatal("a connection without a listener")
		}
	}
	connects := c.await(2*connections, func(l line) bool { return l.Type == "connect" && l.Connection.Remote == server })
	accepts := c.await(connections, func(l line) bool { return l.Type == "accept" && l.Connection.Local == server })
	if len(connects) != 2*connections || len(accepts) != connections {
		t.Fatalf("%d connects and %d accepts", len(connects), len(accepts))
	}
	ids := make(map[string]bool)
	for n, l := range connects {
		if l.Process == nil || l.Process.PID != os.Getpid() {
			t.Fatalf("connect by %+v", l.Process)
		}
		if n < connections && (l.Connection.Error != "" || l.Connection.Local != local[n]) {
			t.Errorf("connection %d: %+v", n, l.Connection)
		}
		if n >= connections && l.Connection.Error != "ECONNREFUSED" {
			t.Errorf("refused connection %d: %+v", n, l.Connection)
		}
		if strings.HasSuffix(l.Connection.Local, ":0") {
			t.Errorf("connection %d has no local port", n)
		}
		ids[l.Connection.ID] = true
	}
	for n, l := range accepts {
		if l.Process == nil || l.Process.PID != os.Getpid() || l.Connection.Remote != local[n] {
			t.Errorf("accept %d: %+v by %+v", n, l.Connection, l.Process)
		}
	}
	if len(ids) != len(connects) {
		t.Errorf("%d ids of %d connections", len(ids), len(connects))
	}
}

func TestConnectionThatItsCallerGaveUp(t *testing.T) {
	eachVariant(t, func(t *testing.T, variant string) {
		c := start(t, setup{variant: variant})
		address := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
		listener := openSocket(t, 0)
		if err := unix.Bind(listener, address); err != nil {
			t.Fatal(err)
		}
		if err := unix.Listen(listener, 0); err != nil {
			t.Fatal(err)
		}
		bound, err := unix.Getsockname(listener)
		if err != nil {
			t.Fatal(err)
		}
		// Nobody accepts: the queue is full after a few, the next gets no answer.
		for range 4 {
			if err := unix.Connect(openSocket(t, unix.SOCK_NONBLOCK), bound); err != nil && err != unix.EINPROGRESS {
				t.Fatal(err)
			}
		}
		last, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		unix.Connect(last, bound)
		unix.Close(last)
		remote := fmt.Sprintf("127.0.0.1:%d", bound.(*unix.SockaddrInet4).Port)
		l := c.await(1, func(l line) bool {
			return l.Type == "connect" && l.Connection.Remote == remote && l.Connection.Error != ""
		})[0]
		if l.Connection.Error != "aborted" || l.Process.PID != os.Getpid() {
			t.Errorf("%+v by %+v", l.Connection, l.Process)
		}
	})
}

func openSocket(t *testing.T, flags int) int {
	t.Helper()
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|flags, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(socket) })
	return socket
}

func TestIPv4OnAnIPv6Listener(t *testing.T) {
	eachVariant(t, func(t *testing.T, variant string) {
		c := start(t, setup{variant: variant})
		listener, err := net.Listen("tcp", ":0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		_, port, _ := net.SplitHostPort(listener.Addr().String())
		connection, err := net.Dial("tcp4", "127.0.0.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		l := c.await(1, func(l line) bool { return l.Type == "accept" && l.Connection.Local == "127.0.0.1:"+port })[0]
		if l.Connection.Family != "ipv4" || l.Process == nil || l.Process.PID != os.Getpid() {
			t.Errorf("%+v by %+v", l.Connection, l.Process)
		}
	})
}

func TestListenerFromBeforeTheStart(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	c := start(t, setup{})
	connection, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	l := c.await(1, func(l line) bool { return l.Type == "accept" && l.Connection.Local == listener.Addr().String() })[0]
	if l.Process != nil || l.Parent != nil {
		t.Errorf("a process that nobody can know: %+v", l.Process)
	}
}

func TestConnectionIsNotSeenWhenNotWanted(t *testing.T) {
	c := start(t, setup{config: map[string]any{"events": []string{"connect"}}})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	connection, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	c.await(1, func(l line) bool { return l.Type == "connect" && l.Connection.Remote == listener.Addr().String() })
	_, balances := c.stop()
	for _, kind := range []string{"exec", "fork", "exit", "accept"} {
		if balances[kind].Written != 0 {
			t.Errorf("%d lines of type %s", balances[kind].Written, kind)
		}
	}
	if balances["accept"].Emitted != 0 || balances["fork"].Emitted != 0 {
		t.Errorf("the kernel side works for nothing: %+v", balances)
	}
}

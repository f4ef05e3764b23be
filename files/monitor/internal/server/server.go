// Package server answers on the monitor's socket.
package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"nanoagent.io/monitor/internal/stream"
)

const (
	longestHeader = 8 << 10
	longestAnswer = 1 << 16
	// How long a client may take to ask, and to take the answer.
	clientLimit = 5 * time.Second
	// Scrapers keep their connection from one scrape to the next.
	idleLimit = 2 * time.Minute
)

// Parts are what the server tells about.
type Parts struct {
	// Ready is nil where all that is to be followed is followed.
	Ready   func() error
	Counts  func() stream.Counts
	Missing func() map[string]string
	Errors  func() map[string]int
	Version string
	Started time.Time
}

// Server answers on a Unix socket and, when asked to, on TCP.
type Server struct {
	parts Parts
	http  http.Server
}

// New makes a server that listens nowhere yet.
func New(parts Parts) *Server {
	s := &Server{parts: parts}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { answer(w, parts.Ready()) })
	mux.HandleFunc("GET /metrics", s.metrics)
	s.http = http.Server{
		Handler: mux, MaxHeaderBytes: longestHeader,
		ReadTimeout: clientLimit, WriteTimeout: clientLimit, IdleTimeout: idleLimit,
	}
	return s
}

// ListenUnix opens the socket, for the owner only. A socket file that nobody
// answers on was left by a monitor that was killed, and is replaced.
func (s *Server) ListenUnix(path string) error {
	if connection, err := net.Dial("unix", path); err == nil {
		connection.Close()
		return fmt.Errorf("another monitor answers on %s: stop it or give this one another socket", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot replace the socket: %w", err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("cannot open the socket: %w; mount a writable directory there or set another socket", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		listener.Close()
		return fmt.Errorf("cannot protect the socket: %w", err)
	}
	go s.http.Serve(listener)
	return nil
}

// ListenTCP answers on an address too, ":port" for all.
func (s *Server) ListenTCP(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("cannot listen: %w; choose another address for listen", err)
	}
	go s.http.Serve(listener)
	return nil
}

// Close ends all listening and removes the socket.
func (s *Server) Close() {
	s.http.Close()
}

func answer(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, err)
		return
	}
	fmt.Fprintln(w, "ok")
}

// Health asks the monitor on a socket for liveness ("live") or readiness
// ("ready"), and gives one line that says how it is.
func Health(ctx context.Context, socket, kind string) (bool, string) {
	path := map[string]string{"live": "/healthz", "ready": "/readyz"}[kind]
	status, body, err := get(ctx, socket, path)
	if err != nil {
		return false, fmt.Sprintf("no monitor answers on its socket: %s", err)
	}
	return status == http.StatusOK, strings.TrimSpace(body)
}

func get(ctx context.Context, socket, path string) (int, string, error) {
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return 0, "", err
	}
	defer connection.Close()
	defer context.AfterFunc(ctx, func() { connection.SetDeadline(time.Now()) })()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://monitor"+path, nil)
	if err != nil {
		return 0, "", err
	}
	request.Close = true
	if err := request.Write(connection); err != nil {
		return 0, "", err
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, longestAnswer))
	return response.StatusCode, string(body), err
}

// Package server answers on the collector's socket.
package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"nanoagent.io/collector/internal/backend"
	"nanoagent.io/collector/internal/output"
	"nanoagent.io/collector/internal/pipeline"
	"nanoagent.io/collector/internal/proof"
)

const (
	stalledAfter = 5 * time.Second
	longestWait  = time.Minute

	longestHeader = 8 << 10
	// How long a client may take to ask, and to take the answer.
	clientLimit = 5 * time.Second
	// Scrapers keep their connection from one scrape to the next.
	idleLimit = 2 * time.Minute
)

// Parts are what the server tells about.
type Parts struct {
	Status   func() pipeline.Status
	Backend  func() backend.Account // nil for none
	Coverage []byte                 // one JSON object
	Proofs   *proof.Memory
	Wake     func() // has the ring drained now
	Node     string
	Version  string
	Started  time.Time
}

// Server serves everything on a Unix socket and, when asked, on TCP what
// anybody may know.
type Server struct {
	parts  Parts
	local  http.Server
	public http.Server
}

// New makes a server that listens nowhere yet.
func New(parts Parts) *Server {
	s := &Server{parts: parts}
	public := s.open()
	s.public = http.Server{
		Handler: public, MaxHeaderBytes: longestHeader,
		ReadTimeout: clientLimit, WriteTimeout: clientLimit, IdleTimeout: idleLimit,
	}
	local := s.open()
	local.HandleFunc("GET /coverage", s.coverage)
	local.HandleFunc("GET /prove", s.prove)
	// Once asked for, a proof takes as long as its client is ready to wait.
	s.local = http.Server{Handler: local, MaxHeaderBytes: longestHeader, ReadHeaderTimeout: clientLimit}
	return s
}

// open handles what anybody may ask.
func (s *Server) open() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.HandleFunc("GET /metrics", s.metrics)
	return mux
}

// ListenUnix opens the socket, for the owner only. A socket file that nobody
// answers on was left by a collector that was killed, and is replaced.
func (s *Server) ListenUnix(path string) error {
	if connection, err := net.Dial("unix", path); err == nil {
		connection.Close()
		return fmt.Errorf("another collector answers on %s: stop it or give this one another socket", path)
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
	go s.local.Serve(listener)
	return nil
}

// ListenTCP serves what anybody may know on an address, ":port" for all.
func (s *Server) ListenTCP(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("cannot listen: %w; choose another address for listen", err)
	}
	go s.public.Serve(listener)
	return nil
}

// Close ends all listening and removes the socket.
func (s *Server) Close() {
	s.local.Close()
	s.public.Close()
}

// health says whether the collector works at all.
func health(status pipeline.Status, now time.Time) error {
	if since := now.Sub(status.Drained); since > stalledAfter {
		return fmt.Errorf("the ring was not drained for %s", since.Round(time.Second))
	}
	return nil
}

func ready(status pipeline.Status, now time.Time) error {
	if err := health(status, now); err != nil {
		return err
	}
	if !status.Ready {
		return errors.New("the self test's event did not come through yet")
	}
	return nil
}

func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	answer(w, health(s.parts.Status(), time.Now()))
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	answer(w, ready(s.parts.Status(), time.Now()))
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

func (s *Server) coverage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Write(s.parts.Coverage)
}

// prove waits for the marker whose nonce has the given hash.
func (s *Server) prove(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	hash, err := hex.DecodeString(query.Get("sha256"))
	if err != nil || len(hash) != sha256.Size {
		http.Error(w, "sha256 must be 64 hexadecimal digits", http.StatusBadRequest)
		return
	}
	wait, err := strconv.ParseUint(query.Get("timeout_ms"), 10, 32)
	if err != nil {
		http.Error(w, "timeout_ms must be a number", http.StatusBadRequest)
		return
	}
	limit := min(time.Duration(wait)*time.Millisecond, longestWait)
	ctx, cancel := context.WithTimeout(r.Context(), limit)
	defer cancel()
	s.parts.Wake()
	marker, ok := s.parts.Proofs.Wait(ctx, [sha256.Size]byte(hash))
	if !ok {
		http.Error(w, "no such marker was seen", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	body := output.AppendString([]byte(`{"node":`), []byte(s.parts.Node))
	body = append(body, `,"seen_after_us":`...)
	body = strconv.AppendInt(body, marker.SeenAfterUS, 10)
	body = append(body, `,"event":`...)
	body = append(body, marker.Line...)
	w.Write(append(body, '}', '\n'))
}

func (s *Server) metrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	var text strings.Builder
	writeMetrics(&text, s.parts)
	w.Write([]byte(text.String()))
}

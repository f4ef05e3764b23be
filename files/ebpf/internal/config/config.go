// Package config reads the collector's configuration file.
package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"nanoagent.io/collector/internal/event"
)

// DefaultFile is read when no other file is named; it may be absent.
const DefaultFile = "/etc/nanoagent/collector.json"

const maxRing = 1 << 30

// Config is the content of the configuration file.
type Config struct {
	Cluster   string            `json:"cluster"`
	Tags      map[string]string `json:"tags"`
	Events    []string          `json:"events"`
	Socket    string            `json:"socket"`
	Listen    string            `json:"listen"`
	RingBytes int               `json:"ring_bytes"`
	PodLogs   string            `json:"pod_logs"`
	Backend   Backend           `json:"backend"`
}

// Backend is where the lines are sent to, beside standard output; nowhere
// without a URL.
type Backend struct {
	URL       string `json:"url"`
	CA        string `json:"ca"`         // file of PEM certificates
	TokenFile string `json:"token_file"` // a bearer token
}

func defaults() Config {
	return Config{
		Events:    []string{"exec", "fork", "exit", "connect", "accept"},
		Socket:    "/run/nanoagent/collector.sock",
		RingBytes: 4 << 20,
		PodLogs:   "/host/var/log",
	}
}

// Read reads and checks a file; an empty name means the default file.
func Read(file string) (Config, error) {
	named := file != ""
	if !named {
		file = DefaultFile
	}
	text, err := os.ReadFile(file)
	if !named && errors.Is(err, fs.ErrNotExist) {
		return defaults(), nil
	}
	if err != nil {
		return Config{}, fmt.Errorf("cannot read the configuration: %w", err)
	}
	config, err := Parse(text)
	if err != nil {
		return Config{}, fmt.Errorf("configuration %s: %w", file, err)
	}
	return config, nil
}

// Parse reads and checks the text of a configuration.
func Parse(text []byte) (Config, error) {
	config := defaults()
	if err := checkKeys(text); err != nil {
		return config, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&config); err != nil {
		return config, explain(err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return config, errors.New("there is more after the JSON object; keep one object only")
	}
	return config, config.check()
}

// checkKeys refuses keys that mean nothing, for they are likely mistyped.
func checkKeys(text []byte) error {
	given, err := object(text)
	if err != nil {
		return err
	}
	if err := onlyKnown("", given, "cluster", "tags", "events", "socket", "listen", "ring_bytes", "pod_logs", "backend"); err != nil {
		return err
	}
	if given, err = object(given["backend"]); err != nil {
		// What it is instead is told by who decodes it.
		return nil
	}
	return onlyKnown("backend.", given, "url", "ca", "token_file")
}

func object(text []byte) (given map[string]json.RawMessage, err error) {
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&given); err != nil {
		return nil, explain(err)
	}
	return given, nil
}

func onlyKnown(prefix string, given map[string]json.RawMessage, known ...string) error {
	var unknown []string
	for key := range given {
		if !contains(known, key) {
			unknown = append(unknown, key)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	sort.Strings(unknown)
	return fmt.Errorf("unknown key %q; known keys are %s", prefix+unknown[0], strings.Join(known, ", "))
}

func explain(err error) error {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		where := kind.Field
		if where == "" {
			where = "the file"
		}
		return fmt.Errorf("%s must be of type %s, not %s", where, kind.Type, kind.Value)
	}
	return fmt.Errorf("not valid JSON: %w", err)
}

func (c Config) check() error {
	for _, name := range c.Events {
		if _, ok := event.Parse(name); !ok {
			return fmt.Errorf("events: unknown event %q; known are exec, fork, exit, connect, accept", name)
		}
	}
	if len(c.Events) == 0 {
		return errors.New("events: name at least one of exec, fork, exit, connect, accept")
	}
	if !filepath.IsAbs(c.Socket) {
		return fmt.Errorf("socket: %q is not an absolute path", c.Socket)
	}
	if !filepath.IsAbs(c.PodLogs) {
		return fmt.Errorf("pod_logs: %q is not an absolute path", c.PodLogs)
	}
	if c.Listen != "" {
		_, port, err := net.SplitHostPort(c.Listen)
		if number, wrong := strconv.ParseUint(port, 10, 16); err != nil || wrong != nil || number == 0 {
			return fmt.Errorf("listen: %q is not of the form host:port or :port with a port from 1 to 65535", c.Listen)
		}
	}
	if err := c.Backend.check(); err != nil {
		return err
	}
	page := os.Getpagesize()
	if c.RingBytes < page || c.RingBytes > maxRing || c.RingBytes&(c.RingBytes-1) != 0 {
		return fmt.Errorf("ring_bytes: %d is not a power of two from %d to %d", c.RingBytes, page, maxRing)
	}
	return nil
}

// check takes HTTPS only: the token must not go where others can read it.
func (b Backend) check() error {
	if b == (Backend{}) {
		return nil
	}
	target, err := url.Parse(b.URL)
	switch {
	case err != nil || target.Scheme != "https" || target.Hostname() == "":
		return errors.New("backend.url: not an https URL of a host")
	case target.User != nil:
		return errors.New("backend.url: it carries a user or password; give a token in token_file")
	case b.CA != "" && !filepath.IsAbs(b.CA):
		return fmt.Errorf("backend.ca: %q is not an absolute path", b.CA)
	case b.TokenFile != "" && !filepath.IsAbs(b.TokenFile):
		return fmt.Errorf("backend.token_file: %q is not an absolute path", b.TokenFile)
	}
	return nil
}

func contains(list []string, text string) bool {
	for _, each := range list {
		if each == text {
			return true
		}
	}
	return false
}

// Package config reads the cluster monitor's configuration file.
package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
)

// DefaultFile is read when no other file is named; it may be absent.
const DefaultFile = "/etc/nanoagent/monitor.json"

const account = "/var/run/secrets/kubernetes.io/serviceaccount"

// Config is the content of the configuration file.
type Config struct {
	Cluster string            `json:"cluster"`
	Tags    map[string]string `json:"tags"`
	Socket  string            `json:"socket"`
	Listen  string            `json:"listen"`
	Lease   Lease             `json:"lease"`
	API     API               `json:"api"`
}

// Lease is the object by which replicas agree on the one that speaks. It has
// to exist.
type Lease struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// API is how to reach the API server; an empty server means the one of the
// cluster that this pod runs in.
type API struct {
	Server    string `json:"server"`
	TokenFile string `json:"token_file"`
	CAFile    string `json:"ca_file"`
}

func defaults() Config {
	return Config{
		Socket: "/run/nanoagent/monitor.sock",
		Lease:  Lease{Namespace: "nanoagent", Name: "nanoagent-monitor"},
		API:    API{TokenFile: account + "/token", CAFile: account + "/ca.crt"},
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

// Parse reads and checks the text of a configuration; unknown keys are an
// error that names the key.
func Parse(text []byte) (Config, error) {
	config := defaults()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&config); err != nil {
		return config, fmt.Errorf("it is not what a monitor reads: %w", err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return config, errors.New("there is more than one JSON object")
	}
	if config.Socket == "" {
		return config, errors.New("socket is empty: name a path in a writable directory")
	}
	if config.Lease.Namespace == "" || config.Lease.Name == "" {
		return config, errors.New("lease needs a namespace and a name")
	}
	if config.Listen != "" {
		if _, port, err := net.SplitHostPort(config.Listen); err != nil || port == "" {
			return config, fmt.Errorf("listen %q is no host:port: use for example :9464", config.Listen)
		}
	}
	return config, nil
}

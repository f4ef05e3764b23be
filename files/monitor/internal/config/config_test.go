package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDefaultsHoldWithoutAFile(t *testing.T) {
	config, err := Parse([]byte(`{"cluster":"c","listen":":9464"}`))
	if err != nil || config.Cluster != "c" || config.Socket != defaults().Socket || config.Lease != defaults().Lease {
		t.Error(config, err)
	}
}

func TestWhatIsRefused(t *testing.T) {
	for text, says := range map[string]string{
		`{"clutser":"c"}`:             "clutser",
		`{"cluster":1}`:               "cluster",
		`{} {}`:                       "more than one",
		`{"socket":""}`:               "socket is empty",
		`{"lease":{"namespace":""}}`:  "lease needs",
		`{"listen":"9464"}`:           "host:port",
		`{"listen":"localhost:"}`:     "host:port",
		`{"api":{"password":"none"}}`: "password",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestAFileThatIsNamedHasToBeThere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "monitor.json")
	if _, err := Read(file); err == nil {
		t.Error("it was read")
	}
	if err := os.WriteFile(file, []byte(`{"cluster":"c"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if config, err := Read(file); err != nil || config.Cluster != "c" {
		t.Error(config, err)
	}
}

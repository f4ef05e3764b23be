package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDefaultsStayWhereNothingIsSaid(t *testing.T) {
	config, err := Parse([]byte(`{"cluster":"c"}`))
	if err != nil {
		t.Fatal(err)
	}
	if config.Cluster != "c" || config.RingBytes != 4<<20 || config.Socket != "/run/nanoagent/collector.sock" ||
		config.PodLogs != "/host/var/log" || len(config.Events) != 5 || config.Listen != "" || config.Backend != (Backend{}) {
		t.Errorf("%+v", config)
	}
}

func TestAllKeys(t *testing.T) {
	config, err := Parse([]byte(`{"cluster":"c","tags":{"a":"b"},"events":["exec"],"socket":"/s","listen":"127.0.0.1:9","ring_bytes":65536,"pod_logs":"/l",
		"backend":{"url":"https://b.example/events","ca":"/c","token_file":"/t"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if config.Tags["a"] != "b" || len(config.Events) != 1 || config.Listen != "127.0.0.1:9" || config.RingBytes != 65536 ||
		config.Backend != (Backend{URL: "https://b.example/events", CA: "/c", TokenFile: "/t"}) {
		t.Errorf("%+v", config)
	}
}

func TestWrongConfigurationsAreNamed(t *testing.T) {
	tests := []struct{ text, want string }{
		{`{"sockt":"/s"}`, `unknown key "sockt"`},
		{`{"Socket":"/s"}`, `unknown key "Socket"`},
		{`{"ring_bytes":"4"}`, "ring_bytes must be of type int, not string"},
		{`{"tags":{"a":1}}`, "tags"},
		{`{"events":["open"]}`, `unknown event "open"`},
		{`{"events":[]}`, "name at least one"},
		{`{"ring_bytes":12288}`, "ring_bytes: 12288 is not a power of two"},
		{`{"ring_bytes":64}`, "ring_bytes: 64 is not a power of two from"},
		{`{"ring_bytes":-4096}`, "ring_bytes"},
		{`{"socket":"s"}`, `socket: "s" is not an absolute path`},
		{`{"pod_logs":"s"}`, `pod_logs: "s" is not an absolute path`},
		{`{"listen":"9090"}`, `listen: "9090" is not of the form host:port`},
		{`{"listen":":0"}`, `listen: ":0" is not of the form host:port`},
		{`{"listen":":65536"}`, `listen: ":65536" is not of the form host:port`},
		{`{"listen":"host:http"}`, `listen: "host:http" is not of the form host:port`},
		{`{"backend":"https://b.example"}`, "backend must be of type"},
		{`{"backend":{"uri":"https://b.example"}}`, `unknown key "backend.uri"`},
		{`{"backend":{"url":"http://b.example"}}`, "backend.url: not an https URL"},
		{`{"backend":{"url":"https://"}}`, "backend.url: not an https URL"},
		{`{"backend":{"ca":"/c"}}`, "backend.url: not an https URL"},
		{`{"backend":{"url":"https://a:b@c"}}`, "backend.url: it carries a user or password"},
		{`{"backend":{"url":"https://c","ca":"c"}}`, `backend.ca: "c" is not an absolute path`},
		{`{"backend":{"url":"https://c","token_file":"t"}}`, `backend.token_file: "t" is not an absolute path`},
		{`{`, "not valid JSON"},
		{`[]`, "the file must be of type"},
		{`{} {}`, "more after the JSON object"},
		{``, "not valid JSON"},
	}
	for _, test := range tests {
		_, err := Parse([]byte(test.text))
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s gives %v instead of %q", test.text, err, test.want)
		}
	}
}

func TestNamedFileMustExist(t *testing.T) {
	if _, err := Read(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a missing file was accepted")
	}
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, []byte(`{"x":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("the error does not name the file: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"cluster":"c","ring_bytes":65536}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if config, err := Parse(text); err == nil && config.check() != nil {
			t.Errorf("%s was accepted", text)
		}
	})
}

func TestAddressesToListenOn(t *testing.T) {
	for _, address := range []string{":9464", "127.0.0.1:9464", "[::1]:9464", "localhost:65535"} {
		config, err := Parse([]byte(`{"listen":"` + address + `"}`))
		if err != nil || config.Listen != address {
			t.Errorf("%s: %q, %v", address, config.Listen, err)
		}
	}
}

package integration

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tunnel is a proxy that leads to one server, whatever it is asked for.
func tunnel(t *testing.T, server *httptest.Server) *httptest.Server {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if request.Method != http.MethodConnect {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		far, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		near, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { io.Copy(far, near); far.Close() }()
		go func() { io.Copy(near, far); near.Close() }()
	}))
	t.Cleanup(proxy.Close)
	return proxy
}

// authority writes the certificate of a test server, which is for example.com, to a file.
func authority(t *testing.T, server *httptest.Server) string {
	file := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

type reached struct {
	URL, Stage, Error, Proxy string
	OK                       bool
	Status                   int
	TLS                      *struct{ Version string }
}

func TestReach(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	ca, proxy := authority(t, server), tunnel(t, server)
	const far, nowhere = "https://example.com:8443/api", "http://127.0.0.1:1"
	withPassword := strings.Replace(proxy.URL, "http://", "http://user:hidden@", 1)
	tests := []struct {
		name  string
		env   []string
		words []string
		code  int
		stage []string
	}{
		{"through the proxy", []string{"HTTPS_PROXY=" + proxy.URL}, []string{far, "--ca", ca}, 0, []string{"done"}},
		{"lower case", []string{"https_proxy=" + proxy.URL, "SSL_CERT_FILE=" + ca}, []string{far}, 0, []string{"done"}},
		{"with a password", []string{"HTTPS_PROXY=" + withPassword}, []string{"--ca", ca, far}, 0, []string{"done"}},
		{"not by the proxy", []string{"HTTPS_PROXY=" + proxy.URL, "NO_PROXY=127.0.0.1"}, []string{"--ca", ca, server.URL}, 0, []string{"done"}},
		{"authority of nobody", []string{"HTTPS_PROXY=" + proxy.URL}, []string{far}, 5, []string{"tls"}},
		{"some", []string{"HTTPS_PROXY=" + proxy.URL}, []string{"--ca", ca, nowhere, far}, 5, []string{"connect", "done"}},
		{"a proxy that is none", []string{"HTTPS_PROXY=http://user:hidden@ho st:1"}, []string{"--ca", ca, far}, 5, []string{"proxy"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			command := exec.Command(binary, append([]string{"reach"}, test.words...)...)
			command.Env = test.env
			out, _ := command.Output()
			if command.ProcessState.ExitCode() != test.code || strings.Contains(string(out), "hidden") {
				t.Errorf("exit %d: %s", command.ProcessState.ExitCode(), out)
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			if len(lines) != len(test.stage) {
				t.Fatalf("%s", out)
			}
			for i, stage := range test.stage {
				var got reached
				if err := json.Unmarshal([]byte(lines[i]), &got); err != nil {
					t.Fatal(err)
				}
				if got.Stage != stage || got.OK != (stage == "done") || got.OK && (got.Status != 404 || got.TLS == nil) {
					t.Errorf("%s", lines[i])
				}
				if strings.HasPrefix(test.name, "through") && got.Proxy != proxy.URL {
					t.Errorf("proxy %q", got.Proxy)
				}
			}
		})
	}
}

func TestReachIsUsedWrongly(t *testing.T) {
	for want, words := range map[string][]string{
		"name at least one URL":       {},
		"no http or https URL":        {"https://a.example", "b.example"},
		"--timeout must be more":      {"--timeout", "0s", "https://a.example"},
		"flag provided":               {"--proxy", "x", "https://a.example"},
		"cannot read the certificate": {"--ca", "/nonexistent", "https://a.example"},
	} {
		command := exec.Command(binary, append([]string{"reach"}, words...)...)
		out, _ := command.CombinedOutput()
		if text := strings.TrimSpace(string(out)); command.ProcessState.ExitCode() != 2 || !strings.Contains(text, want) || strings.Contains(text, "\n") {
			t.Errorf("exit %d: %q instead of %q", command.ProcessState.ExitCode(), text, want)
		}
	}
}

package outbound

import (
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, text []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestAuthoritiesOfAFile(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	file := write(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	t.Run("named", func(t *testing.T) { ask(t, server.URL, file) })
	t.Run("by the environment", func(t *testing.T) {
		t.Setenv("SSL_CERT_FILE", file)
		ask(t, server.URL, "")
	})
}

func ask(t *testing.T, url, ca string) {
	t.Helper()
	transport, err := Transport(ca)
	if err != nil {
		t.Fatal(err)
	}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
}

func TestWrongFilesAreNamed(t *testing.T) {
	key := write(t, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}))
	for file, want := range map[string]string{"/nonexistent/ca.crt": "cannot read the certificate authorities", key: "holds no PEM certificate"} {
		if _, err := Transport(file); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestBundledAuthoritiesAreValid(t *testing.T) {
	pool, err := mozilla()
	if err != nil || pool.Equal(x509.NewCertPool()) {
		t.Errorf("%v", err)
	}
}

package reach

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"nanoagent.io/collector/internal/outbound"
)

const limit = 5 * time.Second

// transport trusts what is given and takes the proxy that is given.
func transport(t *testing.T, through string, trusted ...*httptest.Server) *http.Transport {
	t.Helper()
	made, err := outbound.Transport("")
	if err != nil {
		t.Fatal(err)
	}
	made.Proxy = func(*http.Request) (*url.URL, error) {
		if through == "" {
			return nil, nil
		}
		return url.Parse(through)
	}
	made.TLSClientConfig.RootCAs = x509.NewCertPool()
	for _, server := range trusted {
		made.TLSClientConfig.RootCAs.AddCert(server.Certificate())
	}
	return made
}

func answering(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

func plain(t *testing.T, handler http.Handler) *httptest.Server {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

func encrypted(t *testing.T, handler http.Handler) *httptest.Server {
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// tunnels is a proxy that opens a way to where it is asked for.
func tunnels(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, request *http.Request) {
		if request.Method != http.MethodConnect {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		far, err := net.Dial("tcp", request.Host)
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
	}
}

// silent takes connections and says nothing.
func silent(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}

// nobody is an address where nobody listens.
func nobody(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func host(server *httptest.Server) string { return server.Listener.Addr().String() }

func TestAnyAnswerIsEnough(t *testing.T) {
	for _, status := range []int{200, 301, 401, 404, 500, 503} {
		server := plain(t, answering(status))
		got := All(transport(t, ""), []string{server.URL}, limit)[0]
		if !got.OK || got.Status != status || got.Stage != "done" || got.Error != "" || got.Remote != host(server) || got.TLS != nil || got.MS <= 0 {
			t.Errorf("%+v", got)
		}
	}
}

func TestCertificateIsShown(t *testing.T) {
	server := encrypted(t, answering(204))
	got := All(transport(t, "", server), []string{server.URL}, limit)[0]
	if !got.OK || got.TLS == nil || got.TLS.Version != "TLS 1.3" || got.TLS.Subject != "O=Acme Co" || got.TLS.NotAfter != server.Certificate().NotAfter {
		t.Errorf("%+v %+v", got, got.TLS)
	}
}

func TestWhereTheWayEnds(t *testing.T) {
	secure, web := encrypted(t, answering(200)), plain(t, answering(200))
	open, closed := plain(t, tunnels(t)), plain(t, answering(403))
	wants := plain(t, answering(407))
	secureProxy := encrypted(t, tunnels(t))
	hangUp := plain(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	tests := []struct {
		name, url, proxy, stage, want string
		trusted                       []*httptest.Server
	}{
		{"no such name", "https://nothing.invalid/", "", "dns", "nothing.invalid", nil},
		{"refused", "http://" + nobody(t), "", "connect", "connection refused", nil},
		{"unknown authority", secure.URL, "", "tls", "unknown authority", nil},
		{"other name", "https://localhost:" + port(secure), "", "tls", "not localhost", []*httptest.Server{secure}},
		{"no TLS there", "https://" + host(web), "", "tls", "does not look like a TLS handshake", nil},
		{"no HTTP there", "http://" + host(secure), "", "done", "", nil},
		{"hung up", hangUp.URL, "", "http", "EOF", nil},
		{"proxy has no name", secure.URL, "http://nothing.invalid:3128", "proxy", "nothing.invalid", nil},
		{"proxy refuses connections", secure.URL, "http://" + nobody(t), "proxy", "connection refused", nil},
		{"proxy refuses", secure.URL, closed.URL, "proxy", "the proxy answers 403 Forbidden", nil},
		{"proxy wants a login", secure.URL, wants.URL, "proxy", "the proxy answers 407", nil},
		{"proxy wants a login for plain HTTP", web.URL, wants.URL, "proxy", "the proxy wants a login", nil},
		{"proxy does not reach it", "https://" + nobody(t), open.URL, "proxy", "502 Bad Gateway", nil},
		{"unknown authority behind a proxy", secure.URL, open.URL, "tls", "unknown authority", nil},
		{"unknown proxy", secure.URL, secureProxy.URL, "proxy", "unknown authority", nil},
		{"through a proxy", secure.URL, open.URL, "done", "", []*httptest.Server{secure}},
		{"through a proxy with TLS", secure.URL, secureProxy.URL, "done", "", []*httptest.Server{secure}},
		{"plain HTTP through a proxy", web.URL, open.URL, "done", "", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := All(transport(t, test.proxy, test.trusted...), []string{test.url}, limit)[0]
			if got.Stage != test.stage || !strings.Contains(got.Error, test.want) || got.OK != (test.stage == "done") || got.URL != test.url {
				t.Errorf("%+v", got)
			}
			if got.Proxy != test.proxy {
				t.Errorf("proxy %q", got.Proxy)
			}
		})
	}
}

func port(server *httptest.Server) string {
	_, port, _ := net.SplitHostPort(host(server))
	return port
}

func TestCertificateThatIsNotTrustedIsShown(t *testing.T) {
	server := encrypted(t, answering(200))
	got := All(transport(t, ""), []string{server.URL}, limit)[0]
	if got.OK || got.TLS == nil || got.TLS.Issuer != "O=Acme Co" || got.TLS.Version != "" {
		t.Errorf("%+v %+v", got, got.TLS)
	}
}

func TestTimeIsUp(t *testing.T) {
	for scheme, stage := range map[string]string{"http": "http", "https": "tls"} {
		got := All(transport(t, ""), []string{scheme + "://" + silent(t)}, 100*time.Millisecond)[0]
		if got.OK || got.Stage != stage || got.Error != "no answer within 100ms" || got.MS < 100 {
			t.Errorf("%+v", got)
		}
	}
	made := transport(t, "")
	made.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
	if got := All(made, []string{"http://127.0.0.1"}, 50*time.Millisecond)[0]; got.Error != "no answer within 50ms" {
		t.Errorf("%+v", got)
	}
	if got := All(transport(t, "http://"+silent(t)), []string{"https://127.0.0.1"}, 50*time.Millisecond)[0]; got.Stage != "proxy" {
		t.Errorf("%+v", got)
	}
}

func TestEachInItsPlace(t *testing.T) {
	good, bad := plain(t, answering(200)).URL, "http://"+nobody(t)
	got := All(transport(t, ""), []string{bad, good, bad}, limit)
	if len(got) != 3 || got[0].OK || !got[1].OK || got[2].OK || got[1].URL != good {
		t.Errorf("%+v", got)
	}
}

func TestNoPasswordOfAProxyIsTold(t *testing.T) {
	for _, handler := range []http.Handler{tunnels(t), answering(407), answering(500)} {
		server := plain(t, handler)
		through := "http://user:hidden@" + host(server)
		for _, target := range []string{"https://" + nobody(t), "http://" + nobody(t)} {
			text, err := json.Marshal(All(transport(t, through), []string{target}, limit))
			if err != nil || strings.Contains(string(text), "hidden") || strings.Contains(string(text), "user") || !strings.Contains(string(text), server.URL) {
				t.Errorf("%v: %s", err, text)
			}
		}
	}
}

func TestURLs(t *testing.T) {
	for text, want := range map[string]string{
		"https://orc.example.com": "", "http://127.0.0.1:80/x?y=z": "", "https://[::1]:8443": "",
		"orc.example.com": "no http or https URL", "ftp://x": "no http or https URL", "https://": "no http or https URL", "https://x:port": "no http or https URL",
		"": "no http or https URL", "https://a:b@x": "carries a user or password",
	} {
		err := CheckURL(text)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "a:b")) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

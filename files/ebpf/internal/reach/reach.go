// Package reach finds out whether a URL can be reached from here, and if
// not, at which step of the way it ends.
package reach

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"time"
)

// The steps of the way, in order. A proxy takes the first two upon itself:
// whatever fails before the way through it is open fails at the proxy.
const (
	dns     = "dns"
	connect = "connect"
	proxy   = "proxy"
	secure  = "tls"
	answer  = "http"
	done    = "done"
)

// Result is what was found out of one URL.
type Result struct {
	URL    string  `json:"url"`
	OK     bool    `json:"ok"`     // an HTTP answer came, of any status
	Status int     `json:"status"` // 0 without an answer
	Stage  string  `json:"stage"`  // where it ended
	Error  string  `json:"error"`
	Remote string  `json:"remote"` // address of the other end, the proxy's where there is one
	Proxy  string  `json:"proxy"`  // without user and password
	TLS    *TLS    `json:"tls"`    // null where no certificate was shown
	MS     float64 `json:"ms"`
}

// TLS is the certificate that was shown, trusted or not.
type TLS struct {
	Version  string    `json:"version"` // empty where the handshake failed
	Issuer   string    `json:"issuer"`
	Subject  string    `json:"subject"`
	NotAfter time.Time `json:"not_after"`
}

// CheckURL refuses what no HTTP request can be sent to, and what must not
// stand in a command's arguments.
func CheckURL(text string) error {
	parts, err := url.Parse(text)
	switch {
	case err != nil || parts.Scheme != "http" && parts.Scheme != "https" || parts.Hostname() == "":
		return errors.New("a word is no http or https URL of a host")
	case parts.User != nil:
		return errors.New("a URL carries a user or password; leave them out, any HTTP answer will do")
	}
	return nil
}

// All asks each URL, all at once, for at most the given time.
func All(transport *http.Transport, urls []string, limit time.Duration) []Result {
	results := make([]Result, len(urls))
	var group sync.WaitGroup
	for i, target := range urls {
		group.Go(func() { results[i] = one(transport.Clone(), target, limit) })
	}
	group.Wait()
	return results
}

// way is how far a request got. The transport works in other goroutines.
type way struct {
	mutex   sync.Mutex
	proxied bool
	stage   string
	remote  string
}

func one(transport *http.Transport, target string, limit time.Duration) Result {
	begin := time.Now()
	result := Result{URL: target}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	way := &way{stage: dns}
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, way.trace()), http.MethodGet, target, nil)
	if err != nil {
		return result.failed(dns, err.Error())
	}
	request.Close = true
	request.Header.Set("User-Agent", "nanoagent-collector")
	through, err := transport.Proxy(request)
	if err != nil {
		return result.failed(proxy, err.Error())
	}
	if through != nil {
		result.Proxy = (&url.URL{Scheme: through.Scheme, Host: through.Host}).String()
		way.proxied, way.stage = true, proxy
		transport.OnProxyConnectResponse = way.tunnel
	}
	response, err := transport.RoundTrip(request)
	result.MS = float64(time.Since(begin).Microseconds()) / 1000
	way.mutex.Lock()
	defer way.mutex.Unlock()
	result.Remote = way.remote
	if err != nil {
		result.TLS = refused(err)
		if ctx.Err() != nil {
			return result.failed(way.stage, fmt.Sprintf("no answer within %s", limit))
		}
		return result.failed(way.stage, err.Error())
	}
	response.Body.Close()
	result.TLS = accepted(response.TLS)
	if response.StatusCode == http.StatusProxyAuthRequired {
		result.Status = response.StatusCode
		return result.failed(proxy, "the proxy wants a login")
	}
	result.OK, result.Status, result.Stage = true, response.StatusCode, done
	return result
}

func (r Result) failed(stage, why string) Result {
	r.Stage, r.Error = stage, strings.Join(strings.Fields(why), " ")
	return r
}

func (w *way) at(stage string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	// The handshake may be that with the proxy itself.
	if !w.proxied || stage == answer {
		w.stage = stage
	}
}

// tunnel is called with the proxy's answer to CONNECT.
func (w *way) tunnel(_ context.Context, _ *url.URL, _ *http.Request, response *http.Response) error {
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the proxy answers %s", response.Status)
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.stage = secure
	return nil
}

func (w *way) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		DNSStart:          func(httptrace.DNSStartInfo) { w.at(dns) },
		ConnectStart:      func(_, address string) { w.at(connect); w.met(address) },
		TLSHandshakeStart: func() { w.at(secure) },
		GotConn: func(info httptrace.GotConnInfo) {
			w.at(answer)
			w.met(info.Conn.RemoteAddr().String())
		},
	}
}

func (w *way) met(address string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.remote = address
}

func accepted(state *tls.ConnectionState) *TLS {
	if state == nil {
		return nil
	}
	shown := describe(state.PeerCertificates[0])
	shown.Version = tls.VersionName(state.Version)
	return shown
}

// refused is the certificate that was not trusted, if that is what failed.
func refused(err error) *TLS {
	var failure *tls.CertificateVerificationError
	if !errors.As(err, &failure) || len(failure.UnverifiedCertificates) == 0 {
		return nil
	}
	return describe(failure.UnverifiedCertificates[0])
}

func describe(certificate *x509.Certificate) *TLS {
	return &TLS{Issuer: certificate.Issuer.String(), Subject: certificate.Subject.String(), NotAfter: certificate.NotAfter.UTC()}
}

// Package outbound is the way out: which proxy a request takes, and which
// authorities may have signed the certificate at the other end.
package outbound

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

const (
	caVariable = "SSL_CERT_FILE"

	dialLimit = 10 * time.Second
	idleLimit = 90 * time.Second
)

// Transport makes connections by the proxies of the environment and trusts
// the authorities in a PEM file; without one, those that Roots finds.
func Transport(ca string) (*http.Transport, error) {
	roots, err := Roots(ca)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: dialLimit}
	return &http.Transport{
		Proxy:                  Proxy,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    dialLimit,
		IdleConnTimeout:        idleLimit,
		MaxIdleConnsPerHost:    1,
		MaxResponseHeaderBytes: 64 << 10,
	}, nil
}

// Proxy chooses by HTTPS_PROXY, HTTP_PROXY and NO_PROXY, in upper or lower
// case. Its error says nothing of the value, which may hold a password.
func Proxy(request *http.Request) (*url.URL, error) {
	proxy, err := http.ProxyFromEnvironment(request)
	if err != nil {
		return nil, errors.New("the variable HTTPS_PROXY or HTTP_PROXY holds no URL of a proxy")
	}
	return proxy, nil
}

// Roots are the authorities to trust: those of the file or, where none is
// named, of SSL_CERT_FILE, of the system or, since the image has no files of
// a system, those that Mozilla trusts.
func Roots(file string) (*x509.CertPool, error) {
	if file == "" {
		file = os.Getenv(caVariable)
	}
	if file != "" {
		return read(file)
	}
	system, err := x509.SystemCertPool()
	if err == nil && !system.Equal(x509.NewCertPool()) {
		return system, nil
	}
	return mozilla()
}

func read(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read the certificate authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no PEM certificate", file)
	}
	return pool, nil
}

// mozilla parses its hundred and more certificates on demand only: a probe
// is a process that has no use for them.
var mozilla = sync.OnceValues(func() (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	for root := range bundle.Roots() {
		certificate, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			return nil, fmt.Errorf("a bundled certificate authority: %w", err)
		}
		if root.Constraint == nil {
			pool.AddCert(certificate)
		} else {
			pool.AddCertWithConstraint(certificate, root.Constraint)
		}
	}
	return pool, nil
})

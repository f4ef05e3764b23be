package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

const longestAnswer = 1 << 20

// Get asks the collector on a Unix socket.
func Get(ctx context.Context, socket, path string, query url.Values) (status int, body []byte, err error) {
	var dialer net.Dialer
	client := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		},
		DisableKeepAlives: true,
	}}
	target := url.URL{Scheme: "http", Host: "collector", Path: path, RawQuery: query.Encode()}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return 0, nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		// The error's own text has a URL in it that is none of the user's.
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return 0, nil, fmt.Errorf("no collector answers on its socket: %w", err)
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, longestAnswer))
	return response.StatusCode, body, err
}

// Health asks for liveness ("live") or readiness ("ready"), and gives one
// line that says how it is.
func Health(ctx context.Context, socket, kind string) (bool, string) {
	path := map[string]string{"live": "/healthz", "ready": "/readyz"}[kind]
	status, body, err := Get(ctx, socket, path, nil)
	if err != nil {
		return false, err.Error()
	}
	return status == http.StatusOK, strings.TrimSpace(string(body))
}

package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const longestAnswer = 1 << 20

// Get asks the collector on a Unix socket, without the goroutines of
// [http.Client]: a probe is a process that asks once.
func Get(ctx context.Context, socket, path string, query url.Values) (status int, body []byte, err error) {
	target := url.URL{Scheme: "http", Host: "collector", Path: path, RawQuery: query.Encode()}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return 0, nil, err
	}
	request.Close = true
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return 0, nil, noAnswer(err)
	}
	defer connection.Close()
	defer context.AfterFunc(ctx, func() { connection.SetDeadline(time.Now()) })()
	if err := request.Write(connection); err != nil {
		return 0, nil, noAnswer(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), request)
	if err != nil {
		return 0, nil, noAnswer(err)
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, longestAnswer))
	return response.StatusCode, body, err
}

func noAnswer(err error) error {
	return fmt.Errorf("no collector answers on its socket: %w", err)
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

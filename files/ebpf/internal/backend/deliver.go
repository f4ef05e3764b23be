package backend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	longestAnswer = 4 << 10
	longestToken  = 64 << 10
)

// pace is how patient a sender is; tests are in a hurry.
type pace struct {
	batch   time.Duration // how long a line waits for others
	attempt time.Duration // how long the server may take for a batch
	first   time.Duration // the pause after a first failure, doubled with each further one
	longest time.Duration // the longest of these pauses
	asked   time.Duration // the longest pause that the server may ask for
	closing time.Duration // the longest pause while stopping
}

var usualPace = pace{
	batch: batchAfter, attempt: 15 * time.Second, first: 500 * time.Millisecond, longest: 30 * time.Second,
	asked: 5 * time.Minute, closing: 250 * time.Millisecond,
}

// refusal is an answer that the same batch would get again.
type refusal struct{ error }

// busy is an answer that says when to come again.
type busy struct {
	error
	after time.Duration
}

// deliver sends a batch until it is acknowledged, and gives "", or the cause
// why it is dropped.
func (s *Sender) deliver(b *batch) (cause string) {
	for failures := 0; ; failures++ {
		err := s.attempt(b)
		if s.ctx.Err() != nil && err != nil {
			return Stopped
		}
		s.note(err)
		var no refusal
		switch {
		case err == nil:
			return ""
		case errors.As(err, &no):
			return Refused
		}
		select {
		case <-time.After(s.pause(err, failures)):
		case <-s.hurry():
		case <-s.ctx.Done():
			return Stopped
		}
		s.mutex.Lock()
		s.account.Retries++
		s.mutex.Unlock()
	}
}

// hurry ends a pause that began before the stop.
func (s *Sender) hurry() <-chan struct{} {
	select {
	case <-s.closing:
		return nil
	default:
		return s.closing
	}
}

// pause is random, so that the collectors of many nodes do not come back at
// the same moment.
func (s *Sender) pause(err error, failures int) time.Duration {
	longest := min(s.pace.first<<min(failures, 16), s.pace.longest)
	pause := longest/2 + rand.N(longest/2+1)
	var later busy
	if errors.As(err, &later) {
		pause = min(later.after+rand.N(s.pace.first), s.pace.asked)
	}
	if s.ending() {
		pause = min(pause, s.pace.closing)
	}
	return pause
}

func (s *Sender) ending() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

// note remembers how it went, and warns where that changed.
func (s *Sender) note(err error) {
	s.mutex.Lock()
	before := s.account.Failure
	s.account.Failure = ""
	if err != nil {
		s.account.Failure = err.Error()
	}
	now := s.account.Failure
	s.mutex.Unlock()
	switch {
	case now != "" && before == "":
		s.options.Warn("the backend does not take events: " + now)
	case now == "" && before != "":
		s.options.Warn("the backend takes events again")
	}
}

// attempt sends a batch once.
func (s *Sender) attempt(b *batch) error {
	ctx, cancel := context.WithTimeout(s.ctx, s.pace.attempt)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.options.URL, bytes.NewReader(b.body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-ndjson")
	request.Header.Set("Content-Encoding", "gzip")
	request.Header.Set("User-Agent", "nanoagent-collector/"+s.options.Version)
	// The same at each attempt: a server that keeps it takes no batch twice.
	request.Header.Set("Idempotency-Key", fmt.Sprintf("%s-%d", s.stream, b.first))
	if err := s.authorize(request); err != nil {
		return err
	}
	response, err := s.options.Transport.RoundTrip(request)
	if err != nil {
		return oneLine(err)
	}
	defer response.Body.Close()
	// A connection is used again only when the answer was read.
	_, _ = io.CopyN(io.Discard, response.Body, longestAnswer)
	return judge(response)
}

// authorize reads the token each time, since a Secret may change.
func (s *Sender) authorize(request *http.Request) error {
	if s.options.TokenFile == "" {
		return nil
	}
	file, err := os.Open(s.options.TokenFile)
	if err != nil {
		return fmt.Errorf("cannot read the token: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, longestToken))
	if err != nil {
		return fmt.Errorf("cannot read the token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" || strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return fmt.Errorf("%s is empty or holds more than a token", s.options.TokenFile)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	return nil
}

// judge says what an answer means for the batch. Whoever runs the server may
// mend a wrong login or a missing path, but not what is in a batch.
func judge(response *http.Response) error {
	err := fmt.Errorf("it answers %s", response.Status)
	switch code := response.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable:
		if after, ok := retryAfter(response.Header.Get("Retry-After"), time.Now()); ok {
			return busy{err, after}
		}
		return err
	case code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusNotFound, code == http.StatusProxyAuthRequired,
		code == http.StatusRequestTimeout, code == http.StatusTooEarly:
		return err
	case code >= 400 && code < 500:
		return refusal{err}
	default:
		return err
	}
}

// retryAfter reads seconds or a date.
func retryAfter(text string, now time.Time) (time.Duration, bool) {
	if seconds, err := strconv.ParseUint(text, 10, 20); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	if date, err := http.ParseTime(text); err == nil {
		return max(date.Sub(now), 0), true
	}
	return 0, false
}

func oneLine(err error) error {
	return errors.New(strings.Join(strings.Fields(err.Error()), " "))
}

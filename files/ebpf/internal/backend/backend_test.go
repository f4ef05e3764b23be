package backend

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"nanoagent.io/collector/internal/event"
)

var hasty = pace{
	batch: 2 * time.Millisecond, attempt: 5 * time.Second, first: time.Millisecond, longest: 8 * time.Millisecond,
	asked: 50 * time.Millisecond, closing: 5 * time.Millisecond,
}

// store is a server that keeps each line under its number.
type store struct {
	*httptest.Server
	t *testing.T

	mutex   sync.Mutex
	lines   map[uint64]string
	batches int
	twice   int
	asked   []*http.Request
	fault   func(w http.ResponseWriter, r *http.Request, keep func()) bool // true: it has answered
}

func newStore(t *testing.T) *store {
	s := &store{t: t, lines: make(map[uint64]string)}
	s.Server = httptest.NewUnstartedServer(s)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Server.Close)
	return s
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.asked = append(s.asked, r)
	packed, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	keep := func() { s.keep(string(packed)) }
	if s.fault != nil && s.fault(w, r, keep) {
		return
	}
	keep()
}

// keep reads a batch, whose first line is "stream first lines".
func (s *store) keep(packed string) {
	zip, err := gzip.NewReader(strings.NewReader(packed))
	if err != nil {
		s.t.Error(err)
		return
	}
	scanner := bufio.NewScanner(zip)
	scanner.Buffer(nil, 2<<20)
	scanner.Scan()
	var stream string
	var first, lines uint64
	if _, err := fmt.Sscan(scanner.Text(), &stream, &first, &lines); err != nil {
		s.t.Errorf("%q: %v", scanner.Text(), err)
	}
	s.batches++
	n := first
	for ; scanner.Scan(); n++ {
		if _, known := s.lines[n]; known {
			s.twice++
		}
		s.lines[n] = scanner.Text()
	}
	if n != first+lines || scanner.Err() != nil {
		s.t.Errorf("%d lines instead of %d: %v", n-first, lines, scanner.Err())
	}
}

func (s *store) set(fault func(http.ResponseWriter, *http.Request, func()) bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.fault = fault
}

type warnings struct {
	mutex sync.Mutex
	texts []string
}

func (w *warnings) add(text string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.texts = append(w.texts, text)
}

func (w *warnings) all() []string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return append([]string{}, w.texts...)
}

func sender(t *testing.T, s *store, pace pace, warnings *warnings) *Sender {
	t.Helper()
	return start(Options{
		URL: s.URL + "/events", Transport: s.Client().Transport.(*http.Transport), Version: "1", Warn: warnings.add,
		Header: func(stream string, first, lines uint64) []byte {
			return fmt.Appendf(nil, "%s %d %d\n", stream, first, lines)
		},
	}, pace)
}

func fill(s *Sender, from, to int) {
	for n := from; n <= to; n++ {
		s.Append(event.Exec, []byte(strconv.Itoa(n)+"\n"))
	}
}

// check compares what arrived with what was given and counted as dropped.
func check(t *testing.T, s *store, account Account) {
	t.Helper()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	dropped := uint64(0)
	for _, counts := range account.Dropped {
		dropped += counts.Sum()
	}
	given, sent := account.Given.Sum(), account.Sent.Sum()
	if given != sent+dropped || account.Waiting.Sum() != 0 {
		t.Errorf("given %d, sent %d, dropped %d, waiting %d", given, sent, dropped, account.Waiting.Sum())
	}
	// What is not acknowledged may have arrived all the same.
	if arrived := uint64(len(s.lines)); arrived < sent || arrived > given {
		t.Errorf("arrived %d, sent %d, given %d", arrived, sent, given)
	}
	for n, line := range s.lines {
		if line != strconv.FormatUint(n, 10) {
			t.Errorf("number %d is %q", n, line)
		}
	}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what, "did not come")
		}
	}
}

func TestEverythingArrivesOnce(t *testing.T) {
	s, w := newStore(t), &warnings{}
	sender := sender(t, s, hasty, w)
	fill(sender, 1, 5000)
	eventually(t, "the first lines", func() bool { return sender.Account().Sent.Sum() == 5000 })
	fill(sender, 5001, 5010)
	sender.Close(5 * time.Second)
	account := sender.Account()
	check(t, s, account)
	if len(s.lines) != 5010 || s.twice != 0 || account.Retries != 0 || account.Failure != "" || len(w.all()) != 0 {
		t.Errorf("%d lines, %d twice, %+v, %q", len(s.lines), s.twice, account, w.all())
	}
	first := s.asked[0]
	if first.Method != "POST" || first.URL.Path != "/events" || first.Header.Get("Content-Type") != "application/x-ndjson" ||
		first.Header.Get("User-Agent") != "nanoagent-collector/1" || first.Header.Get("Idempotency-Key") != account.Stream+"-1" ||
		first.Header.Get("Authorization") != "" {
		t.Errorf("%+v", first.Header)
	}
	if uint64(s.batches) != account.Batches || s.batches > 100 {
		t.Errorf("%d batches, %d acknowledged", s.batches, account.Batches)
	}
}

func TestLinesWaitForOthers(t *testing.T) {
	s := newStore(t)
	slow := hasty
	slow.batch = time.Hour
	sender := sender(t, s, slow, &warnings{})
	fill(sender, 1, 100)
	if account := sender.Account(); account.Waiting.Sum() != 100 || account.Bytes == 0 {
		t.Errorf("%+v", account)
	}
	// A full batch does not wait.
	long := strings.Repeat("x", 1<<10)
	for n := range 300 {
		sender.Append(event.Fork, []byte(long+strconv.Itoa(n)+"\n"))
	}
	eventually(t, "the full batch", func() bool { return sender.Account().Sent[event.Fork] > 200 })
	sender.Close(5 * time.Second)
	if account := sender.Account(); account.Sent[event.Fork] != 300 || account.Sent[event.Exec] != 100 || s.batches > 2 {
		t.Errorf("%+v in %d batches", account, s.batches)
	}
}

func reset(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		connection.Close()
	}
}

func answer(status int) func(http.ResponseWriter, *http.Request, func()) bool {
	return func(w http.ResponseWriter, _ *http.Request, _ func()) bool {
		w.WriteHeader(status)
		return true
	}
}

// TestFaults draws a fault for each request; whatever happens, each line
// arrives or is counted.
func TestFaults(t *testing.T) {
	impatient := hasty
	impatient.attempt = 100 * time.Millisecond
	for seed := range uint64(8) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			draw := rand.New(rand.NewPCG(seed, 1))
			s := newStore(t)
			s.fault = func(w http.ResponseWriter, r *http.Request, keep func()) bool {
				switch draw.IntN(10) {
				case 0:
					reset(w)
				case 1:
					keep()
					reset(w)
				case 2:
					w.Header().Set("Retry-After", []string{"0", "1", "soon"}[draw.IntN(3)])
					w.WriteHeader(429)
				case 3:
					w.WriteHeader([]int{500, 502, 503, 504, 401, 403, 404, 408}[draw.IntN(8)])
				case 4:
					keep()
					w.WriteHeader(500)
				case 5:
					time.Sleep(150 * time.Millisecond)
					keep()
				case 6:
					s.CloseClientConnections()
				default:
					return false
				}
				return true
			}
			sender := sender(t, s, impatient, &warnings{})
			for n := 1; n <= 2000; n += 50 {
				fill(sender, n, n+49)
				time.Sleep(time.Millisecond)
			}
			eventually(t, "everything", func() bool { return sender.Account().Sent.Sum() == 2000 })
			sender.Close(5 * time.Second)
			check(t, s, sender.Account())
			if len(s.lines) != 2000 {
				t.Errorf("%d lines", len(s.lines))
			}
		})
	}
}

func TestServerIsAway(t *testing.T) {
	s, w := newStore(t), &warnings{}
	s.set(answer(502))
	sender := sender(t, s, hasty, w)
	fill(sender, 1, 100)
	eventually(t, "a failure", func() bool { return sender.Account().Failure == "it answers 502 Bad Gateway" })
	s.set(nil)
	eventually(t, "everything", func() bool { return sender.Account().Sent.Sum() == 100 })
	fill(sender, 101, 110)
	sender.Close(5 * time.Second)
	check(t, s, sender.Account())
	want := []string{"the backend does not take events: it answers 502 Bad Gateway", "the backend takes events again"}
	if got := w.all(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q", got)
	}
}

// incompressible is a long line that packing makes little smaller.
func incompressible(draw *rand.Rand) []byte {
	line := make([]byte, 8<<10)
	for i := range line {
		line[i] = byte('!' + draw.IntN(90))
	}
	line[len(line)-1] = '\n'
	return line
}

func TestWhatWaitsIsBounded(t *testing.T) {
	s := newStore(t)
	s.set(answer(503))
	sender := sender(t, s, hasty, &warnings{})
	draw := rand.New(rand.NewPCG(1, 1))
	taken, refused := 0, 0
	for range 4096 {
		if sender.Append(event.Exec, incompressible(draw)) {
			taken++
		} else {
			refused++
		}
		if account := sender.Account(); account.Bytes > packedLimit+3*linesLimit {
			t.Fatalf("%d bytes wait", account.Bytes)
		}
	}
	account := sender.Account()
	if refused == 0 || account.Dropped[Full][event.Exec] != uint64(refused) || account.Waiting.Sum() != uint64(taken) {
		t.Errorf("%d taken, %d refused, %+v", taken, refused, account)
	}
	s.set(nil)
	eventually(t, "what waited", func() bool { return sender.Account().Waiting.Sum() == 0 })
	sender.Append(event.Exec, []byte("after\n"))
	sender.Close(5 * time.Second)
	account = sender.Account()
	last := account.Given.Sum()
	if len(s.lines) != taken+1 || s.lines[last] != "after" || account.Sent.Sum() != uint64(taken)+1 {
		t.Errorf("%d lines of %d, the last is %.20q", len(s.lines), taken, s.lines[last])
	}
}

// TestNumbersHaveNoGapWithinABatch fills the room with a long line missing, and then a short one that would fit.
func TestNumbersHaveNoGapWithinABatch(t *testing.T) {
	s := newStore(t)
	slow := hasty
	slow.batch = time.Hour
	sender := sender(t, s, slow, &warnings{})
	s.set(answer(503))
	sender.mutex.Lock()
	sender.size = packedLimit
	sender.mutex.Unlock()
	rest := linesLimit
	for n := 1; rest > 8<<10; n++ {
		line := strconv.Itoa(n)
		line = strings.Repeat("0", 4<<10-1-len(line)) + line + "\n"
		sender.Append(event.Exec, []byte(line))
		rest -= len(line)
	}
	long := append([]byte(strings.Repeat("x", rest)), '\n')
	if sender.Append(event.Exec, long) || sender.Append(event.Exec, []byte("short\n")) {
		t.Error("a line was taken behind one that was not")
	}
	sender.mutex.Lock()
	sender.size = 0
	sender.changed.Broadcast()
	sender.mutex.Unlock()
	s.set(nil)
	sender.Close(5 * time.Second)
	for n, line := range s.lines {
		if strings.TrimLeft(line, "0") != strconv.FormatUint(n, 10) {
			t.Fatalf("number %d is %.20q", n, line)
		}
	}
	if account := sender.Account(); account.Dropped[Full].Sum() != 2 || len(s.lines) != int(account.Given.Sum())-2 {
		t.Errorf("%+v", account)
	}
}

func TestRefusedBatchIsDroppedAndTheNextGoes(t *testing.T) {
	for _, status := range []int{400, 413, 415, 422} {
		s := newStore(t)
		s.set(answer(status))
		sender := sender(t, s, hasty, &warnings{})
		fill(sender, 1, 10)
		sender.Append(0, []byte("11\n"))
		eventually(t, "the refusal", func() bool { return sender.Account().Dropped[Refused].Sum() == 11 })
		s.set(nil)
		fill(sender, 12, 20)
		sender.Close(5 * time.Second)
		account := sender.Account()
		check(t, s, account)
		if account.Dropped[Refused][event.Exec] != 10 || account.Dropped[Refused][0] != 1 || len(s.lines) != 9 || account.Retries != 0 {
			t.Errorf("%d: %+v", status, account)
		}
	}
}

func TestRetryAfterIsHeeded(t *testing.T) {
	s := newStore(t)
	waits := hasty
	waits.asked = time.Hour
	s.set(func(w http.ResponseWriter, _ *http.Request, _ func()) bool {
		w.Header().Set("Retry-After", "3000")
		w.WriteHeader(429)
		return true
	})
	sender := sender(t, s, waits, &warnings{})
	fill(sender, 1, 10)
	eventually(t, "the answer", func() bool { return sender.Account().Failure != "" })
	time.Sleep(100 * time.Millisecond)
	s.mutex.Lock()
	asked := len(s.asked)
	s.mutex.Unlock()
	if asked != 1 {
		t.Errorf("it came %d times", asked)
	}
	// A stop does not wait for that: it tries once more.
	s.set(nil)
	sender.Close(5 * time.Second)
	check(t, s, sender.Account())
	if len(s.lines) != 10 {
		t.Errorf("%d lines", len(s.lines))
	}
}

func TestStopWithoutServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	s, w := newStore(t), &warnings{}
	for _, url := range []string{"https://" + listener.Addr().String(), "https://127.0.0.1:1"} {
		sender := start(Options{
			URL: url, Transport: s.Client().Transport.(*http.Transport).Clone(), Warn: w.add,
			Header: func(string, uint64, uint64) []byte { return nil },
		}, usualPace)
		fill(sender, 1, 10)
		begin := time.Now()
		sender.Close(50 * time.Millisecond)
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("the stop took %s", took)
		}
		if account := sender.Account(); account.Dropped[Stopped].Sum() != 10 || account.Waiting.Sum() != 0 {
			t.Errorf("%+v", account)
		}
		if sender.Append(event.Exec, []byte("late\n")) {
			t.Error("a line was taken after the end")
		}
	}
}

func TestToken(t *testing.T) {
	s, w := newStore(t), &warnings{}
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.fault = func(w http.ResponseWriter, r *http.Request, _ func()) bool {
		if r.Header.Get("Authorization") == "Bearer right.token" {
			return false
		}
		w.WriteHeader(401)
		return true
	}
	sender := start(Options{
		URL: s.URL, TokenFile: file, Transport: s.Client().Transport.(*http.Transport), Warn: w.add,
		Header: func(stream string, first, lines uint64) []byte {
			return fmt.Appendf(nil, "%s %d %d\n", stream, first, lines)
		},
	}, hasty)
	fill(sender, 1, 10)
	eventually(t, "the missing file", func() bool { return strings.Contains(sender.Account().Failure, "cannot read the token") })
	for _, step := range []struct{ token, want string }{
		{"", "is empty or holds more than a token"}, {"hidden one\n", "is empty or holds more"}, {"hid\x00den", "is empty or holds more"}, {"hidden\n", "401 Unauthorized"},
	} {
		write(step.token)
		eventually(t, step.want, func() bool { return strings.Contains(sender.Account().Failure, step.want) })
		if strings.Contains(sender.Account().Failure, "hid") {
			t.Error("the token is told")
		}
	}
	if !strings.Contains(w.all()[0], "cannot read the token") || len(w.all()) != 1 {
		t.Errorf("%q", w.all())
	}
	write("right.token\n")
	eventually(t, "everything", func() bool { return sender.Account().Sent.Sum() == 10 })
	sender.Close(5 * time.Second)
	check(t, s, sender.Account())
}

func TestCertificateIsChecked(t *testing.T) {
	s, w := newStore(t), &warnings{}
	sender := start(Options{
		URL: s.URL, Transport: &http.Transport{}, Warn: w.add, Header: func(string, uint64, uint64) []byte { return nil },
	}, hasty)
	fill(sender, 1, 10)
	eventually(t, "the refusal", func() bool { return strings.Contains(sender.Account().Failure, "unknown authority") })
	sender.Close(50 * time.Millisecond)
	if len(s.lines) != 0 || sender.Account().Dropped[Stopped].Sum() != 10 {
		t.Errorf("%d lines, %+v", len(s.lines), sender.Account())
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"0": 0, "7": 7 * time.Second, "Sat, 21 Nov 2026 12:01:00 GMT": time.Minute, "Sat, 21 Nov 2026 11:00:00 GMT": 0, "": -1, "soon": -1, "-1": -1,
	} {
		if got, ok := retryAfter(text, now); ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: %s, %v", text, got, ok)
		}
	}
}

func TestPauses(t *testing.T) {
	s := &Sender{pace: usualPace, closing: make(chan struct{})}
	for failures := range 100 {
		longest := min(500*time.Millisecond<<min(failures, 10), 30*time.Second)
		if pause := s.pause(io.EOF, failures); pause < longest/2 || pause > longest {
			t.Errorf("%d failures: %s", failures, pause)
		}
	}
	if pause := s.pause(busy{io.EOF, time.Hour}, 0); pause != 5*time.Minute {
		t.Errorf("asked for too much: %s", pause)
	}
	close(s.closing)
	if pause := s.pause(busy{io.EOF, time.Hour}, 9); pause > 250*time.Millisecond {
		t.Errorf("while stopping: %s", pause)
	}
}

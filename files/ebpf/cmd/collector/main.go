// The collector watches processes and connections of one node by eBPF.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"time"

	"nanoagent.io/collector/internal/config"
	"nanoagent.io/collector/internal/deliver"
	"nanoagent.io/collector/internal/marker"
	"nanoagent.io/collector/internal/outbound"
	"nanoagent.io/collector/internal/pipeline"
	"nanoagent.io/collector/internal/reach"
	"nanoagent.io/collector/internal/server"
)

const version = "0.1.0"

const (
	exitFailed = 1
	exitUsage  = 2

	exitUnreached = 5

	healthLimit = 2 * time.Second
	healthPause = 20 * time.Millisecond

	folderUmask = 0o022
)

const usage = `usage:
  collector run [--config FILE]                             write events to standard output until SIGTERM
  collector prove NONCE [--timeout 5s] [--config FILE]      have the running collector show that it saw this process
  collector health live|ready [--wait 0s] [--config FILE]   exit 0 when it is, or gets so within the wait, else 1
  collector deliver SRC DST                                 copy a small file to DST, whole or not at all
  collector reach [--timeout 5s] [--ca FILE] URL...         find out whether URLs can be reached, and if not, where the way ends
  collector version
`

func main() {
	os.Exit(dispatch(os.Args[1:]))
}

func dispatch(arguments []string) int {
	if len(arguments) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return exitUsage
	}
	switch command, rest := arguments[0], arguments[1:]; command {
	case "run":
		return run(rest)
	case "prove":
		return prove(rest)
	case "health":
		return health(rest)
	case "deliver":
		return put(rest)
	case "reach":
		return reachAll(rest)
	case pipeline.SelfTest:
		// Its start is all that matters.
		return 0
	case "version", "--version":
		fmt.Println("collector", version)
		return 0
	case "help", "--help", "-h":
		fmt.Print(usage)
		return 0
	default:
		return fail(exitUsage, fmt.Errorf("unknown command %q; known are run, prove, health, deliver, reach, version", command))
	}
}

func run(arguments []string) int {
	_, file, err := parse(arguments, 0, nil)
	if err != nil {
		return fail(exitUsage, err)
	}
	settings, err := config.Read(file)
	if err != nil {
		return fail(exitUsage, err)
	}
	if err := collect(settings); err != nil {
		return fail(exitFailed, err)
	}
	return 0
}

func prove(arguments []string) int {
	limit := 5 * time.Second
	words, file, err := parse(arguments, 1, func(flags *flag.FlagSet) {
		flags.DurationVar(&limit, "timeout", limit, "")
	})
	if err == nil && words[0] == "" {
		err = errors.New("NONCE must not be empty")
	}
	if err == nil && limit <= 0 {
		err = errors.New("--timeout must be more than 0")
	}
	if err != nil {
		return fail(exitUsage, fmt.Errorf("prove NONCE [--timeout 5s]: %w", err))
	}
	settings, err := config.Read(file)
	if err != nil {
		return fail(exitUsage, err)
	}
	result, code := marker.Prove(settings.Socket, words[0], os.Args, limit)
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		return fail(exitFailed, err)
	}
	return code
}

func health(arguments []string) int {
	var wait time.Duration
	words, file, err := parse(arguments, 1, func(flags *flag.FlagSet) {
		flags.DurationVar(&wait, "wait", wait, "")
	})
	if err == nil && words[0] != "live" && words[0] != "ready" {
		err = fmt.Errorf("unknown check %q", words[0])
	}
	if err != nil {
		return fail(exitUsage, fmt.Errorf("health live|ready [--wait 0s]: %w", err))
	}
	settings, err := config.Read(file)
	if err != nil {
		return fail(exitUsage, err)
	}
	healthy, why := healthWithin(wait, settings.Socket, words[0])
	fmt.Println(why)
	if !healthy {
		return exitFailed
	}
	return 0
}

// healthWithin asks until the collector is well or the wait is over; at least once.
func healthWithin(wait time.Duration, socket, kind string) (healthy bool, why string) {
	for deadline := time.Now().Add(wait); ; time.Sleep(healthPause) {
		ctx, cancel := context.WithTimeout(context.Background(), healthLimit)
		healthy, why = server.Health(ctx, socket, kind)
		cancel()
		if healthy || !time.Now().Before(deadline) {
			return healthy, why
		}
	}
}

func put(arguments []string) int {
	if len(arguments) != 2 || slices.Contains(arguments, "") {
		return fail(exitUsage, errors.New("deliver SRC DST: name two files"))
	}
	// The folders that it makes are for everybody to read, whatever the container runtime has set.
	syscall.Umask(folderUmask)
	written, err := deliver.File(arguments[0], arguments[1])
	if err != nil {
		return fail(exitFailed, fmt.Errorf("deliver: %w", err))
	}
	if written {
		fmt.Println("delivered", arguments[1])
	} else {
		fmt.Println("already there:", arguments[1])
	}
	return 0
}

func reachAll(arguments []string) int {
	var ca string
	limit := 5 * time.Second
	flags := flag.NewFlagSet("reach", flag.ContinueOnError)
	flags.DurationVar(&limit, "timeout", limit, "")
	flags.StringVar(&ca, "ca", "", "")
	urls, err := words(flags, arguments)
	switch {
	case err == nil && len(urls) == 0:
		err = errors.New("name at least one URL")
	case err == nil && limit <= 0:
		err = errors.New("--timeout must be more than 0")
	}
	for _, url := range urls {
		err = cmp.Or(err, reach.CheckURL(url))
	}
	if err != nil {
		return fail(exitUsage, fmt.Errorf("reach [--timeout 5s] [--ca FILE] URL...: %w", err))
	}
	transport, err := outbound.Transport(ca)
	if err != nil {
		return fail(exitUsage, fmt.Errorf("reach: %w", err))
	}
	code := 0
	for _, result := range reach.All(transport, urls, limit) {
		if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
			return fail(exitFailed, err)
		}
		if !result.OK {
			code = exitUnreached
		}
	}
	return code
}

// parse reads the flags and words of a command that has a configuration.
func parse(arguments []string, count int, define func(*flag.FlagSet)) (found []string, file string, err error) {
	flags := flag.NewFlagSet("collector", flag.ContinueOnError)
	flags.StringVar(&file, "config", "", "")
	if define != nil {
		define(flags)
	}
	found, err = words(flags, arguments)
	if err == nil && len(found) != count {
		err = fmt.Errorf("%d words after the command instead of %d", len(found), count)
	}
	return found, file, err
}

// words reads flags that may stand before or after the words of a command.
func words(flags *flag.FlagSet, arguments []string) (found []string, err error) {
	flags.SetOutput(io.Discard)
	for {
		if err := flags.Parse(arguments); err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			return found, nil
		}
		found = append(found, flags.Arg(0))
		arguments = flags.Args()[1:]
	}
}

func fail(code int, err error) int {
	fmt.Fprintln(os.Stderr, "collector:", err)
	return code
}

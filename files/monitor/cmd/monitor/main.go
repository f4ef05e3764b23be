// The cluster monitor follows the objects of a Kubernetes cluster, and says
// what changes.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"nanoagent.io/monitor/internal/config"
	"nanoagent.io/monitor/internal/server"
	"nanoagent.io/monitor/internal/watcher"
)

const version = "0.1.0"

const (
	exitFailed = 1
	exitUsage  = 2

	healthLimit = 2 * time.Second
	healthPause = 20 * time.Millisecond
)

const usage = `usage:
  monitor run [--config FILE]                             write changes to standard output until SIGTERM
  monitor health live|ready [--wait 0s] [--config FILE]   exit 0 when it is, or gets so within the wait, else 1
  monitor rights                                          the rules of the ClusterRole that it needs, as JSON
  monitor version
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
	case "health":
		return health(rest)
	case "rights":
		return rights()
	case "version", "--version":
		fmt.Println("monitor", version)
		return 0
	case "help", "--help", "-h":
		fmt.Print(usage)
		return 0
	default:
		return fail(exitUsage, fmt.Errorf("unknown command %q; known are run, health, rights, version", command))
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
	if err := monitor(settings); err != nil {
		return fail(exitFailed, err)
	}
	return 0
}

func rights() int {
	if err := json.NewEncoder(os.Stdout).Encode(watcher.Rules()); err != nil {
		return fail(exitFailed, err)
	}
	return 0
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

// healthWithin asks until the monitor is well or the wait is over; at least once.
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

// parse reads flags that may stand before or after the words of a command.
func parse(arguments []string, count int, define func(*flag.FlagSet)) (words []string, file string, err error) {
	flags := flag.NewFlagSet("monitor", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&file, "config", "", "")
	if define != nil {
		define(flags)
	}
	for {
		if err := flags.Parse(arguments); err != nil {
			return nil, "", err
		}
		if flags.NArg() == 0 {
			break
		}
		words = append(words, flags.Arg(0))
		arguments = flags.Args()[1:]
	}
	if len(words) != count {
		return nil, "", errors.New("wrong number of words after the command")
	}
	return words, file, nil
}

func fail(code int, err error) int {
	fmt.Fprintln(os.Stderr, "monitor:", err)
	return code
}

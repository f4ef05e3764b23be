// Copyright: (c) 2026, The nanoagent.k8s maintainers
// SPDX-License-Identifier: GPL-3.0-or-later

// Command liar stands where the collector should: it says that it is ready and answers every question for a proof,
// but has seen nothing. Built with the version "crash" it ends at once instead.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

var version string

func main() {
	if version == "crash" {
		fmt.Println("cannot load the programs: no luck today")
		os.Exit(7)
	}
	switch os.Args[1] {
	case "run":
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		<-stop
	case "prove":
		fmt.Printf(`{"ok":true,"latency_us":900,"event":{"type":"exec","node":%q,`, os.Getenv("NODE_NAME"))
		fmt.Printf(`"process":{"argv":["/collector","prove","yesterday's nonce"]}}}`)
	}
}

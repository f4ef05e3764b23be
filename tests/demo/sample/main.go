// Copyright: (c) 2026, The nanoagent.k8s maintainers
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Command shop is a workload worth watching: a server that starts a process for
// each order, and a visitor whose processes place orders over TCP.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const (
	exitUsage  = 2
	exitNoShop = 5
)

const usage = `usage:
  shop serve [--listen ADDRESS]                take orders until SIGTERM
  shop visit [--shop ADDRESS] ORDER...         place orders, then wait for SIGTERM
  shop buy --shop ADDRESS --order NUMBER       place one order
  shop worker --order NUMBER                   handle one order
`

func main() {
	if len(os.Args) < 2 {
		fail(exitUsage, usage)
	}
	flags := flag.NewFlagSet("shop", flag.ExitOnError)
	listen := flags.String("listen", ":8080", "")
	shop := flags.String("shop", "", "")
	order := flags.Int("order", 0, "")
	// ExitOnError: Parse does not return an error.
	_ = flags.Parse(os.Args[2:])
	switch os.Args[1] {
	case "serve":
		serve(*listen)
	case "visit":
		visit(*shop, flags.Args())
	case "buy":
		os.Exit(buy(*shop, *order))
	case "worker":
		os.Exit(handle(*order))
	default:
		fail(exitUsage, usage)
	}
}

func untilStopped() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
}

// work stands for what a real program would do, long enough to see an order.
func work() {
	time.Sleep(20 * time.Millisecond)
}

func fail(code int, what any) {
	fmt.Fprintln(os.Stderr, what)
	os.Exit(code)
}

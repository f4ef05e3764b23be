// Copyright: (c) 2026, The nanoagent.k8s maintainers
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// What became of an order: the worker's exit code, and the visitor's.
const (
	exitSold    = 0
	exitSoldOut = 3

	soldOut = 13
)

func serve(address string) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		fail(1, err)
	}
	go func() {
		for {
			customer, err := listener.Accept()
			if err != nil {
				fail(1, err)
			}
			go attend(customer)
		}
	}()
	untilStopped()
}

// attend has one order handled by a process of its own and answers with its
// exit code.
func attend(customer net.Conn) {
	defer customer.Close()
	line, err := bufio.NewReader(customer).ReadString('\n')
	if err != nil {
		return
	}
	code, err := start("worker", "--order", strings.TrimSpace(line))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Fprintln(customer, code)
}

// start runs this program again and waits for its exit code.
func start(arguments ...string) (int, error) {
	program, err := os.Executable()
	if err != nil {
		return 0, err
	}
	err = exec.Command(program, arguments...).Run()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return ended.ExitCode(), nil
	}
	return 0, err
}

func handle(order int) int {
	work()
	if order == soldOut {
		return exitSoldOut
	}
	return exitSold
}

func visit(shop string, orders []string) {
	for _, order := range orders {
		if _, err := start("buy", "--shop", shop, "--order", order); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	untilStopped()
}

// buy ends with the exit code of the shop's worker.
func buy(address string, order int) int {
	shop, err := net.Dial("tcp", address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitNoShop
	}
	defer shop.Close()
	fmt.Fprintln(shop, order)
	answer, err := bufio.NewReader(shop).ReadString('\n')
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitNoShop
	}
	code, err := strconv.Atoi(strings.TrimSpace(answer))
	if err != nil {
		return exitNoShop
	}
	return code
}

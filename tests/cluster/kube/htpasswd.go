package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// runHtpasswd prints an htpasswd line for the user named on the command line; the password comes from standard input.
func runHtpasswd() int {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: htpasswd USER < PASSWORD")
		return 2
	}
	password, err := io.ReadAll(os.Stdin)
	if err == nil {
		var hash []byte
		// The lowest cost: the registry checks it on every request, and the password is random.
		if hash, err = bcrypt.GenerateFromPassword([]byte(strings.TrimSpace(string(password))), bcrypt.MinCost); err == nil {
			fmt.Printf("%s:%s\n", os.Args[1], hash)
			return 0
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

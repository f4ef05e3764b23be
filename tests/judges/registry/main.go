// Copyright: (c) 2026, The nanoagent.k8s maintainers
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Command registry serves go-containerregistry's registry, with referrers, until it is ended: a second implementation beside distribution's.
package main

import (
	"flag"
	"log"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	address := flag.String("address", "127.0.0.1:0", "host and port to listen on")
	folder := flag.String("folder", "", "where blobs are kept; manifests are in memory")
	flag.Parse()
	if *folder == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	options := []registry.Option{
		registry.WithBlobHandler(registry.NewDiskBlobHandler(*folder)),
		registry.WithReferrersSupport(true),
		registry.Logger(log.New(os.Stdout, "", 0)),
	}
	log.Fatal(http.ListenAndServe(*address, registry.New(options...)))
}

// Package integration tests the collector's binary against known workloads.
// Its tests load eBPF programs, so they need root.
package integration

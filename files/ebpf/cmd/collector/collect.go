package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"nanoagent.io/collector/internal/backend"
	"nanoagent.io/collector/internal/bpf"
	"nanoagent.io/collector/internal/config"
	"nanoagent.io/collector/internal/event"
	"nanoagent.io/collector/internal/identity"
	"nanoagent.io/collector/internal/outbound"
	"nanoagent.io/collector/internal/output"
	"nanoagent.io/collector/internal/pipeline"
	"nanoagent.io/collector/internal/pods"
	"nanoagent.io/collector/internal/proof"
	"nanoagent.io/collector/internal/server"
)

const (
	// A small heap keeps small what the collector holds all the time. Loading
	// leaves garbage of a few MB: until the collector is ready it is collected
	// at the limit only, then given back at once.
	gcPercent   = 50
	memoryLimit = 24 << 20

	// How long output may take after the last event, within a stop of 2 s.
	lastWrite = time.Second
	// How long the backend may take, within the 10 s that a pod has.
	lastSend = 5 * time.Second

	selfTestAgain = time.Second
	variantName   = "NANOAGENT_TEST_VARIANT"
)

// collect runs the collector until SIGTERM or SIGINT.
func collect(settings config.Config) error {
	started := time.Now()
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(memoryLimit)
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	boot, err := identity.ReadBoot()
	if err != nil {
		return err
	}
	events := wanted(settings.Events)
	sensor, err := bpf.Open(bpf.Options{RingBytes: settings.RingBytes, Events: events, Variants: variants()})
	if err != nil {
		return err
	}
	defer sensor.Close()

	node := os.Getenv("NODE_NAME")
	format := output.NewFormat(boot, node, settings.Cluster, settings.Tags)
	queue := output.NewQueue(os.Stdout)
	sender, account, err := toBackend(settings.Backend, format)
	if err != nil {
		return err
	}
	proofs := proof.NewMemory()
	nonce := rand.Text()
	line := pipeline.New(pipeline.Parts{
		Sensor: sensor, Format: format, Queue: queue, Backend: sender, Directory: pods.New(settings.PodLogs),
		Proofs: proofs, Events: events, Nonce: nonce,
	})
	service := server.New(server.Parts{
		Status: line.Status, Backend: account, Coverage: format.Coverage(nil, sensor.Coverage(), started.UnixNano()),
		Proofs: proofs, Wake: sensor.Wake, Node: node, Version: version, Started: started,
	})
	defer service.Close()
	if err := service.ListenUnix(settings.Socket); err != nil {
		return err
	}
	if settings.Listen != "" {
		if err := service.ListenTCP(settings.Listen); err != nil {
			return err
		}
	}

	go func() {
		selfTest(ctx, nonce, sensor.Wake, line.Ready)
		debug.SetGCPercent(gcPercent)
		debug.FreeOSMemory()
	}()
	if err := line.Run(ctx.Done()); err != nil {
		return fmt.Errorf("stopped: %w", err)
	}
	if sender != nil {
		queue.Flush()
		sender.Close(lastSend)
		queue.Append(format.Delivery(nil, account(), time.Now().UnixNano()))
	}
	if !queue.Close(lastWrite) {
		return errors.New("standard output did not take the last lines")
	}
	return nil
}

// toBackend starts sending where a backend is configured; else all it gives
// is nil.
func toBackend(settings config.Backend, format *output.Format) (*backend.Sender, func() backend.Account, error) {
	if settings.URL == "" {
		return nil, nil, nil
	}
	transport, err := outbound.Transport(settings.CA)
	if err != nil {
		return nil, nil, err
	}
	sender := backend.New(backend.Options{
		URL: settings.URL, TokenFile: settings.TokenFile, Transport: transport, Version: version, Header: format.Batch,
		Warn: func(text string) { fmt.Fprintln(os.Stderr, "collector:", text) },
	})
	return sender, sender.Account, nil
}

func wanted(names []string) map[event.Type]bool {
	events := make(map[event.Type]bool)
	for _, name := range names {
		kind, _ := event.Parse(name)
		events[kind] = true
	}
	return events
}

// variants lets tests choose how programs are attached; nil is the usual way.
func variants() []bpf.Variant {
	if forced := os.Getenv(variantName); forced != "" {
		return []bpf.Variant{bpf.Variant(forced)}
	}
	return nil
}

// selfTest starts this program as a marker until its event came through,
// again because a full ring may have lost the first.
func selfTest(ctx context.Context, nonce string, wake func(), ready <-chan struct{}) {
	for {
		marker := exec.CommandContext(ctx, "/proc/self/exe", pipeline.SelfTest, nonce)
		marker.Env = []string{}
		if err := marker.Run(); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "collector: the self test does not start:", err)
		}
		wake()
		select {
		case <-ready:
			return
		case <-ctx.Done():
			return
		case <-time.After(selfTestAgain):
		}
	}
}

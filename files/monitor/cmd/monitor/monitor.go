package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"nanoagent.io/monitor/internal/api"
	"nanoagent.io/monitor/internal/config"
	"nanoagent.io/monitor/internal/leader"
	"nanoagent.io/monitor/internal/server"
	"nanoagent.io/monitor/internal/stream"
	"nanoagent.io/monitor/internal/watcher"
)

const tick = 250 * time.Millisecond

// monitor works until SIGTERM or SIGINT.
func monitor(settings config.Config) error {
	// What its library would log is told by readiness, metrics and the lines themselves.
	klog.SetLogger(logr.Discard())
	identity, err := identity()
	if err != nil {
		return err
	}
	clients, err := api.Connect(settings.API, "nanoagent-monitor/"+version)
	if err != nil {
		return fmt.Errorf("cannot reach the API server: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)

	names := stream.Names{Monitor: identity, Cluster: settings.Cluster, Tags: settings.Tags}
	lines := stream.New(os.Stdout, names, func(err error) { end(broken{err}) })
	changed := make(chan struct{}, 1)
	state := watcher.NewState(func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	elector := leader.New(clients[coordinationv1.SchemeGroupVersion], settings.Lease.Namespace, settings.Lease.Name, identity, clock.RealClock{})
	answers := server.New(server.Parts{
		Ready:  func() error { return ready(state, elector, time.Now()) },
		Counts: lines.Counts, Errors: state.Errors,
		Missing: func() map[string]string { return state.Missing(time.Now()) },
		Version: version, Started: time.Now(),
	})
	if err := listen(answers, settings); err != nil {
		return err
	}
	defer answers.Close()

	var work sync.WaitGroup
	for i := range watcher.Kinds {
		kind := &watcher.Kinds[i]
		work.Go(func() { watcher.Follow(ctx, clients[kind.Version], kind, lines, state) })
	}
	work.Go(func() { tend(ctx, lines, state, changed) })
	work.Go(func() { speak(ctx, elector, lines, state) })
	work.Wait()
	return ended(ctx)
}

// broken is an output that takes no more.
type broken struct{ error }

func (b broken) Error() string { return "standard output takes no more: " + b.error.Error() }

// ended tells an error from a signal.
func ended(ctx context.Context) error {
	var failure broken
	if errors.As(context.Cause(ctx), &failure) {
		return failure
	}
	return nil
}

// identity is the pod's name: a container that starts anew in its pod is the same monitor.
func identity() (string, error) {
	if name := os.Getenv("POD_NAME"); name != "" {
		return name, nil
	}
	return os.Hostname()
}

func listen(answers *server.Server, settings config.Config) error {
	if err := answers.ListenUnix(settings.Socket); err != nil {
		return err
	}
	if settings.Listen == "" {
		return nil
	}
	return answers.ListenTCP(settings.Listen)
}

// ready names what is not followed. A monitor that stands by is as ready as the one that speaks.
func ready(state *watcher.State, elector *leader.Elector, now time.Time) error {
	missing := state.Missing(now)
	if trouble := elector.Trouble(); trouble != "" {
		missing["leases.coordination.k8s.io"] = trouble
	}
	if len(missing) > 0 {
		var found []string
		for _, title := range slices.Sorted(maps.Keys(missing)) {
			found = append(found, title+": "+missing[title])
		}
		return errors.New(strings.Join(found, "; "))
	}
	if unread := state.Unread(); len(unread) > 0 {
		return fmt.Errorf("not read yet: %s", strings.Join(unread, ", "))
	}
	return nil
}

// tend does what is due with time, and when a kind begins or ceases to be followed.
func tend(ctx context.Context, lines *stream.Stream, state *watcher.State, changed <-chan struct{}) {
	ticks := time.NewTicker(tick)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticks.C:
			lines.Tick(now)
		case <-changed:
		}
		lines.Cover(state.Missing(time.Now()))
	}
}

// speak takes part in the election once there is something to say.
func speak(ctx context.Context, elector *leader.Elector, lines *stream.Stream, state *watcher.State) {
	for !state.Settled() {
		select {
		case <-ctx.Done():
			return
		case <-time.After(tick):
		}
	}
	elector.Run(ctx, func(term leader.Term) {
		lines.Cover(state.Missing(time.Now()))
		reason, previous := "start", (*stream.Previous)(nil)
		if !term.Renewed.IsZero() {
			reason = "takeover"
			previous = &stream.Previous{Monitor: term.Previous, Renewed: term.Renewed.UTC().Format(time.RFC3339)}
		}
		lines.Speak(reason, previous, term.Since)
	}, lines.Hush)
}

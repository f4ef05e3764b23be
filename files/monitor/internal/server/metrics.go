package server

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"nanoagent.io/monitor/internal/watcher"
)

const prefix = "nanoagent_monitor_"

func (s *Server) metrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	var text strings.Builder
	s.writeMetrics(&text)
	fmt.Fprint(w, text.String())
}

func (s *Server) writeMetrics(text *strings.Builder) {
	counts, missing, failed := s.parts.Counts(), s.parts.Missing(), s.parts.Errors()
	head(text, "objects", "gauge", "Objects that are known, by kind.")
	for _, kind := range slices.Sorted(maps.Keys(counts.Objects)) {
		sample(text, "objects", labels("kind", kind), float64(counts.Objects[kind]))
	}
	head(text, "changes_total", "counter", "Changes that were seen, by kind.")
	for _, kind := range slices.Sorted(maps.Keys(counts.Changes)) {
		for _, change := range slices.Sorted(maps.Keys(counts.Changes[kind])) {
			sample(text, "changes_total", labels("kind", kind, "change", change), float64(counts.Changes[kind][change]))
		}
	}
	head(text, "unchanged_total", "counter", "Updates in which nothing changed that is told, by kind.")
	for _, kind := range slices.Sorted(maps.Keys(counts.Unchanged)) {
		sample(text, "unchanged_total", labels("kind", kind), float64(counts.Unchanged[kind]))
	}
	head(text, "followed", "gauge", "Whether a resource is followed; 0 where a right is missing.")
	for i := range watcher.Kinds {
		title := watcher.Kinds[i].Title()
		_, lacks := missing[title]
		sample(text, "followed", labels("resource", title), number(!lacks))
	}
	head(text, "api_errors_total", "counter", "Lists and watches that the API server did not answer, by resource.")
	for _, title := range slices.Sorted(maps.Keys(failed)) {
		sample(text, "api_errors_total", labels("resource", title), float64(failed[title]))
	}
	one(text, "lines_total", "counter", "Lines that were written.", float64(counts.Written))
	one(text, "snapshots_total", "counter", "Times that this monitor began to speak.", float64(counts.Snapshots))
	one(text, "speaking", "gauge", "Whether this monitor is the one that speaks.", number(counts.Speaking))
	one(text, "ready", "gauge", "Whether all that is to be followed is followed.", number(s.parts.Ready() == nil))
	head(text, "build_info", "gauge", "The version.")
	goVersion := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		goVersion = info.GoVersion
	}
	sample(text, "build_info", labels("version", s.parts.Version, "go", goVersion), 1)
	one(text, "start_time_seconds", "gauge", "When it started.", float64(s.parts.Started.UnixMilli())/1000)
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) == nil {
		spent := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
		one(text, "cpu_seconds_total", "counter", "Processor time that it used.", spent.Seconds())
	}
	if pages, err := residentPages(); err == nil {
		one(text, "resident_bytes", "gauge", "Memory that it occupies.", float64(pages*os.Getpagesize()))
	}
}

func residentPages() (int, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, strconv.ErrSyntax
	}
	return strconv.Atoi(fields[1])
}

func one(text *strings.Builder, name, kind, help string, value float64) {
	head(text, name, kind, help)
	sample(text, name, "", value)
}

func head(text *strings.Builder, name, kind, help string) {
	fmt.Fprintf(text, "# HELP %s%s %s\n# TYPE %s%s %s\n", prefix, name, help, prefix, name, kind)
}

func sample(text *strings.Builder, name, labels string, value float64) {
	fmt.Fprintf(text, "%s%s%s %s\n", prefix, name, labels, strconv.FormatFloat(value, 'f', -1, 64))
}

func labels(pairs ...string) string {
	var parts []string
	for i := 0; i < len(pairs); i += 2 {
		parts = append(parts, fmt.Sprintf("%s=%q", pairs[i], pairs[i+1]))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

package server

import (
	"fmt"
	"os"
	"sort"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"nanoagent.io/collector/internal/backend"
	"nanoagent.io/collector/internal/event"
	"nanoagent.io/collector/internal/output"
)

// The text format is written here because the usual client library would
// nearly double the binary for what is twenty lines of output.

const prefix = "nanoagent_collector_"

type fate struct {
	name string
	help string
	of   func(output.Balance) uint64
}

var fates = []fate{
	{"events_emitted_total", "Events that the kernel side tried to hand over.", func(b output.Balance) uint64 { return b.Emitted }},
	{"events_received_total", "Events read from the ring.", func(b output.Balance) uint64 { return b.Received }},
	{"events_written_total", "Events written as lines.", func(b output.Balance) uint64 { return b.Written }},
	{"events_self_total", "Events of the collector's own probes and connections, not written.", func(b output.Balance) uint64 { return b.Self }},
	{"events_other_node_total", "Events of other nodes on the same kernel, not written.", func(b output.Balance) uint64 { return b.OtherNode }},
	{"events_unwanted_total", "Events of a type that is not configured, not written.", func(b output.Balance) uint64 { return b.Unwanted }},
	{"events_dropped_total", "Events lost because output or start could not take them.", func(b output.Balance) uint64 { return b.Dropped }},
}

func writeMetrics(w *strings.Builder, parts Parts) {
	status := parts.Status()
	for _, fate := range fates {
		head(w, fate.name, "counter", fate.help)
		for _, kind := range event.All() {
			fmt.Fprintf(w, "%s%s{type=%q} %d\n", prefix, fate.name, kind, fate.of(status.Balance[kind]))
		}
	}
	head(w, "events_lost_total", "counter", "Events that found the ring full.")
	for _, kind := range event.All() {
		for cpu, n := range status.LostByCPU[kind] {
			fmt.Fprintf(w, "%sevents_lost_total{type=%q,cpu=\"%d\"} %d\n", prefix, kind, cpu, n)
		}
	}
	head(w, "hook_missed_total", "counter", "Runs of a program that the kernel left out.")
	for _, hook := range sorted(status.Missed) {
		fmt.Fprintf(w, "%shook_missed_total{hook=%q} %d\n", prefix, hook, status.Missed[hook])
	}
	head(w, "events_without_process_total", "counter", "Connections whose process is not known.")
	for _, kind := range []event.Type{event.Connect, event.Accept} {
		fmt.Fprintf(w, "%sevents_without_process_total{type=%q} %d\n", prefix, kind, status.Ownerless[kind])
	}
	value(w, "records_malformed_total", "counter", "Records that could not be decoded.", status.Malformed)
	value(w, "cgroups", "gauge", "Control groups remembered.", uint64(status.Places))
	value(w, "events_held", "gauge", "Events that wait for names.", uint64(status.Held))
	value(w, "pod_logs_present", "gauge", "Whether the kubelet's log directory, the source of names, is there.", number(status.PodLogs))
	value(w, "ready", "gauge", "Whether the self test came through.", number(ready(status, time.Now()) == nil))
	if parts.Backend != nil {
		writeBackend(w, parts.Backend())
	}
	writeProcess(w, parts)
}

func writeBackend(w *strings.Builder, account backend.Account) {
	head(w, "backend_sent_total", "counter", "Lines that the backend acknowledged.")
	for kind, n := range account.Sent {
		fmt.Fprintf(w, "%sbackend_sent_total{type=%q} %d\n", prefix, backend.KindName(kind), n)
	}
	head(w, "backend_dropped_total", "counter", "Lines that the backend did not get.")
	for _, cause := range backend.Causes {
		for kind, n := range account.Dropped[cause] {
			fmt.Fprintf(w, "%sbackend_dropped_total{cause=%q,type=%q} %d\n", prefix, cause, backend.KindName(kind), n)
		}
	}
	value(w, "backend_batches_total", "counter", "Batches that the backend acknowledged.", account.Batches)
	value(w, "backend_retries_total", "counter", "Attempts after a failed one.", account.Retries)
	value(w, "backend_waiting_lines", "gauge", "Lines that wait to be sent.", account.Waiting.Sum())
	value(w, "backend_waiting_bytes", "gauge", "Memory that they take.", uint64(account.Bytes))
	value(w, "backend_failing", "gauge", "Whether the latest attempt failed.", number(account.Failure != ""))
}

func writeProcess(w *strings.Builder, parts Parts) {
	head(w, "build_info", "gauge", "The version.")
	fmt.Fprintf(w, "%sbuild_info{version=%q} 1\n", prefix, parts.Version)
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) == nil {
		head(w, "cpu_seconds_total", "counter", "Processor time of the collector's user space.")
		fmt.Fprintf(w, "%scpu_seconds_total %.3f\n", prefix, float64(usage.Utime.Nano()+usage.Stime.Nano())/1e9)
	}
	value(w, "resident_bytes", "gauge", "Resident memory.", resident())
	head(w, "start_time_seconds", "gauge", "Unix time of the start.")
	fmt.Fprintf(w, "%sstart_time_seconds %.3f\n", prefix, float64(parts.Started.UnixMilli())/1e3)
}

func resident() uint64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var total, pages uint64
	if _, err := fmt.Sscan(string(text), &total, &pages); err != nil {
		return 0
	}
	return pages * uint64(os.Getpagesize())
}

func head(w *strings.Builder, name, kind, help string) {
	fmt.Fprintf(w, "# HELP %s%s %s\n# TYPE %s%s %s\n", prefix, name, help, prefix, name, kind)
}

func value(w *strings.Builder, name, kind, help string, n uint64) {
	head(w, name, kind, help)
	fmt.Fprintf(w, "%s%s %d\n", prefix, name, n)
}

func number(yes bool) uint64 {
	if yes {
		return 1
	}
	return 0
}

func sorted(m map[string]uint64) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

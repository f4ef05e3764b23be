/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The ring that all events go through, and the count of what did not fit. */
#ifndef NANOAGENT_MAPS_H
#define NANOAGENT_MAPS_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "events.h"

struct count {
	u64 emitted;
	u64 lost;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 * 1024 * 1024);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EVENT_TYPES);
	__type(key, u32);
	__type(value, struct count);
} counts SEC(".maps");

/*
 * emit hands one event to user space without waking it, and counts it.
 * The counters are atomic because a soft interrupt can come between.
 */
static __always_inline void emit(u32 type, void *data, u64 size)
{
	struct count *count = bpf_map_lookup_elem(&counts, &type);

	if (!count)
		return;
	__sync_fetch_and_add(&count->emitted, 1);
	if (bpf_ringbuf_output(&ring, data, size, BPF_RB_NO_WAKEUP))
		__sync_fetch_and_add(&count->lost, 1);
}

#endif

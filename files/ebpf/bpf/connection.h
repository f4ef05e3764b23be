/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Programs for TCP connections. A connection is established or fails in
 * the context of whatever process runs at that time, so the owner is noted
 * when it calls connect or listen (owner_storage.h, owner_hash.h) and looked up when it ends.
 */
#ifndef NANOAGENT_CONNECTION_H
#define NANOAGENT_CONNECTION_H

#ifdef RAW_TRACEPOINTS
#include "owner_hash.h"
#else
#include "owner_storage.h"
#endif
#include <bpf/bpf_endian.h>

#define IPPROTO_TCP 6
#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_SYN_RECV 3
#define TCP_CLOSE 7
#define TCP_LISTEN 10
/* No error number of Linux: the connection was closed before it was decided. */
#define CONNECT_ABORTED 0xffff

/* Which event types user space asked for, one bit each; set before loading. */
const volatile u32 wanted = ~0U;

static __always_inline bool is_wanted(u32 type)
{
	return wanted & (1U << type);
}

static __always_inline void read_addresses(struct connection *connection, struct sock *sk)
{
	connection->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (connection->family == AF_INET6) {
		BPF_CORE_READ_INTO(&connection->local, sk, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr8);
		BPF_CORE_READ_INTO(&connection->remote, sk, __sk_common.skc_v6_daddr.in6_u.u6_addr8);
	} else {
		__builtin_memset(connection->local, 0, ADDRESS_LENGTH);
		__builtin_memset(connection->remote, 0, ADDRESS_LENGTH);
		BPF_CORE_READ_INTO((u32 *)connection->local, sk, __sk_common.skc_rcv_saddr);
		BPF_CORE_READ_INTO((u32 *)connection->remote, sk, __sk_common.skc_daddr);
	}
	/* skc_num is already cleared when a failed connection is closed. */
	connection->local_port = bpf_ntohs(BPF_CORE_READ((struct inet_sock *)sk, inet_sport));
	connection->remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
}

/* note_owner keeps who called connect or listen. */
static __always_inline void note_owner(struct owner *owner, u32 type)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	if (!owner)
		return;
	describe(&owner->connection.event, task, BPF_CORE_READ(task, group_leader, real_parent));
	owner->connection.event.type = type;
	owner->connection.opened = owner->connection.event.time;
	append_cgroup(&owner->connection.event, owner->cgroup, task);
}

static __always_inline void emit_connection(struct sock *sk, u32 type, struct owner *owner)
{
	u64 length;

	owner->connection.event.time = bpf_ktime_get_boot_ns();
	read_addresses(&owner->connection, sk);
	length = owner->connection.event.cgroup_length & (CGROUP_LENGTH - 1);
	emit(type, owner, sizeof(owner->connection) + length);
}

/* emit_ownerless reports a connection whose process was never seen to ask for it. */
static __always_inline void emit_ownerless(struct sock *sk, u32 type, u16 error)
{
	struct connection connection = {};

	connection.event.time = bpf_ktime_get_boot_ns();
	connection.event.type = type;
	connection.event.flags = FLAG_NO_PROCESS;
	connection.error = error;
	read_addresses(&connection, sk);
	emit(type, &connection, sizeof(connection));
}

static __always_inline void on_connected(struct sock *sk, u16 error)
{
	struct owner *owner = connecting(sk);

	if (!owner) {
		emit_ownerless(sk, EVENT_CONNECT, error);
		return;
	}
	owner->connection.error = error;
	emit_connection(sk, EVENT_CONNECT, owner);
	forget_connecting(sk);
}

#ifdef RAW_TRACEPOINTS
/* The listener's entry serves many connections at once, so it is copied. */
static __always_inline void emit_accepted(struct sock *sk)
{
	u32 type = EVENT_ACCEPT;
	struct owner *listener = listener_of(sk);
	struct count *count = bpf_map_lookup_elem(&counts, &type);
	struct owner *copy;

	if (!listener) {
		emit_ownerless(sk, EVENT_ACCEPT, 0);
		return;
	}
	if (!count)
		return;
	__sync_fetch_and_add(&count->emitted, 1);
	copy = bpf_ringbuf_reserve(&ring, sizeof(*copy), 0);
	if (!copy) {
		__sync_fetch_and_add(&count->lost, 1);
		return;
	}
	bpf_probe_read_kernel(copy, sizeof(*copy), listener);
	copy->connection.event.time = bpf_ktime_get_boot_ns();
	read_addresses(&copy->connection, sk);
	bpf_ringbuf_submit(copy, BPF_RB_NO_WAKEUP);
}
#else
/* The socket has its own copy of the listener's storage since it was cloned. */
static __always_inline void emit_accepted(struct sock *sk)
{
	struct owner *owner = listener_of(sk);

	if (!owner) {
		emit_ownerless(sk, EVENT_ACCEPT, 0);
		return;
	}
	emit_connection(sk, EVENT_ACCEPT, owner);
	forget_connecting(sk);
}
#endif

/* A connect that crossed with the other side's connect ends as an accept does. */
static __always_inline void on_accepted(struct sock *sk)
{
	if (connecting(sk)) {
		if (is_wanted(EVENT_CONNECT))
			on_connected(sk, 0);
	} else if (is_wanted(EVENT_ACCEPT)) {
		emit_accepted(sk);
	}
}

/*
 * Two programs on one tracepoint: the kernel does not run a program on a
 * processor where it already runs, and a soft interrupt that establishes a
 * connection often comes while a process is in connect, where the owner takes
 * its time to be noted.
 */
SEC(HOOK "inet_sock_set_state")
int on_socket_asked(u64 *context)
{
	struct sock *sk = (void *)context[0];
	int before = context[1];
	int after = context[2];

	if (after != TCP_SYN_SENT && after != TCP_LISTEN && before != TCP_LISTEN)
		return 0;
	if (BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP)
		return 0;
	if (after == TCP_SYN_SENT) {
		if (is_wanted(EVENT_CONNECT))
			note_owner(new_connecting(sk), EVENT_CONNECT);
	} else if (after == TCP_LISTEN) {
		if (is_wanted(EVENT_ACCEPT))
			note_owner(new_listener(sk), EVENT_ACCEPT);
	} else if (after == TCP_CLOSE) {
		forget_listener(sk);
	}
	return 0;
}

SEC(HOOK "inet_sock_set_state")
int on_socket_answered(u64 *context)
{
	struct sock *sk = (void *)context[0];
	int before = context[1];
	int after = context[2];

	if (before != TCP_SYN_SENT && before != TCP_SYN_RECV)
		return 0;
	if (BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP)
		return 0;
	if (before == TCP_SYN_SENT && after == TCP_ESTABLISHED) {
		if (is_wanted(EVENT_CONNECT))
			on_connected(sk, 0);
	} else if (before == TCP_SYN_SENT && after == TCP_CLOSE) {
		/* Without an error the caller gave up before an answer came. */
		u16 error = BPF_CORE_READ(sk, sk_err);

		if (is_wanted(EVENT_CONNECT))
			on_connected(sk, error ? error : CONNECT_ABORTED);
	} else if (before == TCP_SYN_RECV && after == TCP_ESTABLISHED) {
		on_accepted(sk);
	}
	return 0;
}

#endif

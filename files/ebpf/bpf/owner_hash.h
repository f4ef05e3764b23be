/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Owners for kernels whose programs cannot use socket storage: bounded
 * hashes. An accepted socket does not lead back to its listener, so that is
 * found by network namespace, port and address.
 */
#ifndef NANOAGENT_OWNER_HASH_H
#define NANOAGENT_OWNER_HASH_H

#include "owner.h"

#define SOCKETS 2048

struct listen_key {
	u8 address[ADDRESS_LENGTH];
	u32 netns;
	u16 port;
	u16 family;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SOCKETS);
	__type(key, u64);
	__type(value, struct owner);
} connecting_sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SOCKETS);
	__type(key, struct listen_key);
	__type(value, struct owner);
} listening_sockets SEC(".maps");

/* The value of a new entry, which would not fit on the stack. */
static const struct owner no_owner;

static __always_inline void fill_listen_key(struct listen_key *key, struct sock *sk)
{
	__builtin_memset(key, 0, sizeof(*key));
	key->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	key->port = BPF_CORE_READ(sk, __sk_common.skc_num);
	key->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (key->family == AF_INET6)
		BPF_CORE_READ_INTO(&key->address, sk, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr8);
	else
		BPF_CORE_READ_INTO((u32 *)key->address, sk, __sk_common.skc_rcv_saddr);
}

static __always_inline struct owner *new_connecting(struct sock *sk)
{
	u64 key = (u64)sk;

	bpf_map_update_elem(&connecting_sockets, &key, &no_owner, BPF_ANY);
	return bpf_map_lookup_elem(&connecting_sockets, &key);
}

/*
 * Two listeners may share an address and port (SO_REUSEPORT). Nobody can then
 * tell whose a connection is, so the entry loses its type and names no one.
 */
static __always_inline struct owner *new_listener(struct sock *sk)
{
	struct listen_key key;
	struct owner *shared;

	fill_listen_key(&key, sk);
	if (!bpf_map_update_elem(&listening_sockets, &key, &no_owner, BPF_NOEXIST))
		return bpf_map_lookup_elem(&listening_sockets, &key);
	shared = bpf_map_lookup_elem(&listening_sockets, &key);
	if (shared && shared->connection.event.pid != bpf_get_current_pid_tgid() >> 32)
		shared->connection.event.type = 0;
	return NULL;
}

static __always_inline struct owner *connecting(struct sock *sk)
{
	u64 key = (u64)sk;

	return bpf_map_lookup_elem(&connecting_sockets, &key);
}

static __always_inline struct owner *listener_of(struct sock *sk)
{
	struct listen_key key;
	struct owner *owner;

	fill_listen_key(&key, sk);
	owner = bpf_map_lookup_elem(&listening_sockets, &key);
	if (!owner) {
		__builtin_memset(key.address, 0, sizeof(key.address));
		owner = bpf_map_lookup_elem(&listening_sockets, &key);
	}
	return owner && owner->connection.event.type == EVENT_ACCEPT ? owner : NULL;
}

static __always_inline void forget_connecting(struct sock *sk)
{
	u64 key = (u64)sk;

	bpf_map_delete_elem(&connecting_sockets, &key);
}

static __always_inline void forget_listener(struct sock *sk)
{
	struct listen_key key;

	fill_listen_key(&key, sk);
	bpf_map_delete_elem(&listening_sockets, &key);
}

#endif

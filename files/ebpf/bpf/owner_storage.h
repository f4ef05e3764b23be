/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Owners in socket storage: freed with the socket, so nothing grows, and
 * copied by the kernel from a listener to each socket accepted from it.
 */
#ifndef NANOAGENT_OWNER_STORAGE_H
#define NANOAGENT_OWNER_STORAGE_H

#include "owner.h"

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct owner);
} owners SEC(".maps");

static __always_inline struct owner *new_connecting(struct sock *sk)
{
	return bpf_sk_storage_get(&owners, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
}

static __always_inline struct owner *new_listener(struct sock *sk)
{
	return bpf_sk_storage_get(&owners, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
}

static __always_inline struct owner *owner_as(struct sock *sk, u16 type)
{
	struct owner *owner = bpf_sk_storage_get(&owners, sk, 0, 0);

	return owner && owner->connection.event.type == type ? owner : NULL;
}

static __always_inline struct owner *connecting(struct sock *sk)
{
	return owner_as(sk, EVENT_CONNECT);
}

static __always_inline struct owner *listener_of(struct sock *sk)
{
	return owner_as(sk, EVENT_ACCEPT);
}

static __always_inline void forget_connecting(struct sock *sk)
{
	bpf_sk_storage_delete(&owners, sk);
}

static __always_inline void forget_listener(struct sock *sk)
{
	bpf_sk_storage_delete(&owners, sk);
}

#endif

/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What the programs hand to user space: a fixed header, for connections a
 * fixed second part, then byte strings whose lengths the header tells.
 * internal/event/decode.go reads exactly this layout.
 */
#ifndef NANOAGENT_EVENTS_H
#define NANOAGENT_EVENTS_H

#define COMM_LENGTH 16
#define CGROUP_LENGTH 512
#define ADDRESS_LENGTH 16

enum event_type {
	EVENT_EXEC = 1,
	EVENT_FORK = 2,
	EVENT_EXIT = 3,
	EVENT_CONNECT = 4,
	EVENT_ACCEPT = 5,
	EVENT_TYPES = 6,
};

enum event_flag {
	FLAG_ARGV_TRUNCATED = 1,
	FLAG_EXE_TRUNCATED = 2,
	FLAG_CWD_TRUNCATED = 4,
	FLAG_CGROUP_TRUNCATED = 8,
	FLAG_NO_PROCESS = 16,
	FLAG_ARGV_UNREADABLE = 32,
};

struct event {
	u64 time;
	u64 start;
	u64 parent_start;
	u32 pid;
	u32 parent_pid;
	u32 uid;
	u32 gid;
	char comm[COMM_LENGTH];
	char parent_comm[COMM_LENGTH];
	u32 exit_status;
	u16 type;
	u16 flags;
	/* Paths are components, innermost first, each ended by a zero byte. */
	u16 exe_length;
	u16 cwd_length;
	u16 argv_length;
	u16 cgroup_length;
};

struct connection {
	struct event event;
	u64 opened;
	u8 local[ADDRESS_LENGTH];
	u8 remote[ADDRESS_LENGTH];
	u16 local_port;
	u16 remote_port;
	u16 family;
	u16 error;
};

#endif

/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Facts about a task: who it is, who its parent is, which cgroup it is in. */
#ifndef NANOAGENT_TASK_H
#define NANOAGENT_TASK_H

#include "maps.h"
#include <bpf/bpf_core_read.h>

#define PF_KTHREAD 0x00200000
#define CGROUP_DEPTH 32
#define CGROUP_NAME 256

static __always_inline bool is_kernel_thread(struct task_struct *task)
{
	return BPF_CORE_READ(task, flags) & PF_KTHREAD;
}

/*
 * describe fills in the process of a task and its parent. Start time and
 * process number are the leader's, so every thread gives the same answer.
 */
static __always_inline void describe(struct event *event, struct task_struct *task,
				     struct task_struct *parent)
{
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	struct task_struct *parent_leader = BPF_CORE_READ(parent, group_leader);

	event->time = bpf_ktime_get_boot_ns();
	event->start = BPF_CORE_READ(leader, start_boottime);
	event->pid = BPF_CORE_READ(leader, tgid);
	event->uid = BPF_CORE_READ(task, cred, uid.val);
	event->gid = BPF_CORE_READ(task, cred, gid.val);
	BPF_CORE_READ_INTO(&event->comm, leader, comm);
	event->parent_start = BPF_CORE_READ(parent_leader, start_boottime);
	event->parent_pid = BPF_CORE_READ(parent_leader, tgid);
	BPF_CORE_READ_INTO(&event->parent_comm, parent_leader, comm);
	event->exit_status = 0;
	event->flags = 0;
	event->exe_length = 0;
	event->cwd_length = 0;
	event->argv_length = 0;
	event->cgroup_length = 0;
}

static __always_inline struct kernfs_node *kernfs_parent(struct kernfs_node *node)
{
	struct kernfs_node___rcu *newer = (void *)node;

	if (bpf_core_field_exists(newer->__parent))
		return BPF_CORE_READ(newer, __parent);
	return BPF_CORE_READ(node, parent);
}

/* v1_node gives the task's node in a controller's own hierarchy, if it has one. */
static __always_inline struct kernfs_node *v1_node(struct css_set *set, u32 controller,
						   struct cgroup_root *unified)
{
	struct cgroup_subsys_state *state = NULL;
	struct cgroup *group;

	bpf_core_read(&state, sizeof(state), &set->subsys[controller & 15]);
	group = BPF_CORE_READ(state, cgroup);
	if (!group || BPF_CORE_READ(group, root) == unified)
		return NULL;
	return BPF_CORE_READ(group, kn);
}

/*
 * cgroup_node chooses the hierarchy that tells containers apart: where the
 * pids or memory controller is on cgroup v1 the runtime makes its directories
 * there and perhaps none in the unified hierarchy.
 */
static __always_inline struct kernfs_node *cgroup_node(struct task_struct *task)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	struct cgroup_root *unified = BPF_CORE_READ(set, dfl_cgrp, root);
	struct kernfs_node *node;

	if (bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id)) {
		node = v1_node(set, bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id), unified);
		if (node && kernfs_parent(node))
			return node;
	}
	if (bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id)) {
		node = v1_node(set, bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id), unified);
		if (node && kernfs_parent(node))
			return node;
	}
	return BPF_CORE_READ(set, dfl_cgrp, kn);
}

/*
 * append_cgroup writes the names of the task's cgroup, innermost first, to
 * where, which has room for CGROUP_LENGTH + CGROUP_NAME bytes.
 */
static __always_inline u32 append_cgroup(struct event *event, char *where, struct task_struct *task)
{
	struct kernfs_node *node = cgroup_node(task);
	u32 length = 0;

	for (int i = 0; i < CGROUP_DEPTH; i++) {
		struct kernfs_node *parent = kernfs_parent(node);
		long written;

		if (!parent)
			goto out;
		written = bpf_probe_read_kernel_str(where + (length & (CGROUP_LENGTH - 1)), CGROUP_NAME,
						    BPF_CORE_READ(node, name));
		if (written <= 0 || length + written >= CGROUP_LENGTH)
			break;
		length += written;
		node = parent;
	}
	event->flags |= FLAG_CGROUP_TRUNCATED;
out:
	length &= CGROUP_LENGTH - 1;
	event->cgroup_length = length;
	return length;
}

#endif

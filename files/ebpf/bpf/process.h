/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Programs for the life of processes: exec, fork, exit. */
#ifndef NANOAGENT_PROCESS_H
#define NANOAGENT_PROCESS_H

#include "task.h"

#define PATH_DEPTH 96
#define PATH_LENGTH 4096
#define NAME_LENGTH 256
#define ARGV_LENGTH 4096
#define PAGE_LENGTH 4096
#define DATA_LENGTH 16384
#define SIGNAL_GROUP_EXIT 4
#define EEXIST 17

/*
 * The reserve after the data lets one bounded copy start at any offset. The
 * offset is kept in memory, where the verifier does not follow its values:
 * it would try every length that a path can have.
 */
struct process_event {
	struct event event;
	char data[DATA_LENGTH + 2 * ARGV_LENGTH];
	u32 used;
};

struct life_event {
	struct event event;
	char cgroup[CGROUP_LENGTH + CGROUP_NAME];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct process_event);
} exec_scratch SEC(".maps");

/* One place each for fork and exit, so that neither can overwrite the other. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, struct life_event);
} life_scratch SEC(".maps");

struct process_key {
	u64 start;
	u64 pid;
};

/* Processes that were reported gone: two last threads may leave at one time. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct process_key);
	__type(value, u8);
} exited SEC(".maps");

/*
 * append_path writes the names of a path as the task sees it, innermost
 * first, and returns their length: it ends at the task's root, and crosses
 * mounts on the way there. It is a global function, with numbers only for
 * arguments, because the verifier goes through such a one once and not at
 * each call: that halves the time that on_exec takes to load.
 */
__noinline int append_path(u64 path_address, u64 root_address, u32 truncated)
{
	u32 key = 0;
	struct process_event *scratch = bpf_map_lookup_elem(&exec_scratch, &key);
	struct path *path = (void *)path_address, *root = (void *)root_address;
	struct dentry *entry = BPF_CORE_READ(path, dentry);
	struct vfsmount *mount = BPF_CORE_READ(path, mnt);
	struct dentry *root_entry = BPF_CORE_READ(root, dentry);
	struct vfsmount *root_mount = BPF_CORE_READ(root, mnt);
	u32 begin;

	if (!scratch)
		return 0;
	begin = scratch->used;
	for (int i = 0; i < PATH_DEPTH; i++) {
		struct dentry *parent;
		u32 offset;
		long written;

		if (entry == root_entry && mount == root_mount)
			goto out;
		parent = BPF_CORE_READ(entry, d_parent);
		if (entry == BPF_CORE_READ(mount, mnt_root)) {
			struct mount *here = (void *)mount - bpf_core_field_offset(struct mount, mnt);
			struct mount *above = BPF_CORE_READ(here, mnt_parent);

			if (above == here)
				goto out;
			entry = BPF_CORE_READ(here, mnt_mountpoint);
			mount = (void *)above + bpf_core_field_offset(struct mount, mnt);
			continue;
		}
		offset = scratch->used & (DATA_LENGTH - 1);
		written = bpf_probe_read_kernel_str(scratch->data + offset, NAME_LENGTH,
						    BPF_CORE_READ(entry, d_name.name));
		if (written <= 0 || offset + written - begin > PATH_LENGTH)
			break;
		scratch->used = offset + written;
		/* A file without a directory, such as a memfd, has only its name. */
		if (entry == parent)
			goto out;
		entry = parent;
	}
	scratch->event.flags |= truncated;
out:
	return scratch->used - begin;
}

/*
 * append_argv copies the arguments as exec laid them out. A page that is not
 * present fails the whole copy, hence the second try up to the page's end.
 */
static __always_inline u16 append_argv(struct process_event *scratch, struct mm_struct *mm)
{
	unsigned long begin = BPF_CORE_READ(mm, arg_start);
	unsigned long length = BPF_CORE_READ(mm, arg_end) - begin;
	u32 offset = scratch->used & (DATA_LENGTH - 1);

	if (length > ARGV_LENGTH) {
		length = ARGV_LENGTH;
		scratch->event.flags |= FLAG_ARGV_TRUNCATED;
	}
	if (bpf_probe_read_user(scratch->data + offset, length, (void *)begin)) {
		length = PAGE_LENGTH - (begin & (PAGE_LENGTH - 1));
		scratch->event.flags |= FLAG_ARGV_TRUNCATED;
		if (bpf_probe_read_user(scratch->data + offset, length, (void *)begin)) {
			scratch->event.flags |= FLAG_ARGV_UNREADABLE;
			return 0;
		}
	}
	scratch->used = offset + length;
	return length;
}

SEC(HOOK "sched_process_exec")
int on_exec(u64 *context)
{
	struct task_struct *task = (void *)context[0];
	u32 key = 0, used;
	struct process_event *scratch = bpf_map_lookup_elem(&exec_scratch, &key);
	struct fs_struct *fs;
	struct file *exe;

	if (!scratch)
		return 0;
	describe(&scratch->event, task, BPF_CORE_READ(task, real_parent));
	scratch->event.type = EVENT_EXEC;
	scratch->used = 0;

	fs = BPF_CORE_READ(task, fs);
	exe = BPF_CORE_READ(task, mm, exe_file);
	scratch->event.exe_length = append_path((u64)&exe->f_path, (u64)&fs->root, FLAG_EXE_TRUNCATED);
	scratch->event.cwd_length = append_path((u64)&fs->pwd, (u64)&fs->root, FLAG_CWD_TRUNCATED);
	scratch->event.argv_length = append_argv(scratch, BPF_CORE_READ(task, mm));
	used = scratch->used & (DATA_LENGTH - 1);
	used += append_cgroup(&scratch->event, scratch->data + used, task);

	emit(EVENT_EXEC, scratch, sizeof(scratch->event) + used);
	return 0;
}

static __always_inline void emit_life(struct life_event *scratch, u32 type, struct task_struct *task)
{
	u32 length;

	scratch->event.type = type;
	length = append_cgroup(&scratch->event, scratch->cgroup, task);
	emit(type, scratch, sizeof(scratch->event) + length);
}

SEC(HOOK "sched_process_fork")
int on_fork(u64 *context)
{
	struct task_struct *parent = (void *)context[0];
	struct task_struct *child = (void *)context[1];
	u32 key = 0;
	struct life_event *scratch = bpf_map_lookup_elem(&life_scratch, &key);

	if (!scratch || BPF_CORE_READ(child, pid) != BPF_CORE_READ(child, tgid) || is_kernel_thread(child))
		return 0;
	describe(&scratch->event, child, parent);
	emit_life(scratch, EVENT_FORK, child);
	return 0;
}

/* exit_status is what wait(2) gives the parent. */
static __always_inline u32 exit_status(struct task_struct *task)
{
	if (BPF_CORE_READ(task, signal, flags) & SIGNAL_GROUP_EXIT)
		return BPF_CORE_READ(task, signal, group_exit_code);
	return BPF_CORE_READ(task, group_leader, exit_code);
}

SEC(HOOK "sched_process_exit")
int on_exit(u64 *context)
{
	struct task_struct *task = (void *)context[0];
	u32 key = 1;
	u8 gone = 1;
	struct life_event *scratch = bpf_map_lookup_elem(&life_scratch, &key);
	struct process_key process = {};

	if (!scratch || BPF_CORE_READ(task, signal, live.counter) != 0 || is_kernel_thread(task))
		return 0;
	describe(&scratch->event, task, BPF_CORE_READ(task, group_leader, real_parent));
	process.start = scratch->event.start;
	process.pid = scratch->event.pid;
	if (bpf_map_update_elem(&exited, &process, &gone, BPF_NOEXIST) == -EEXIST)
		return 0;
	scratch->event.exit_status = exit_status(task);
	emit_life(scratch, EVENT_EXIT, task);
	return 0;
}

#endif

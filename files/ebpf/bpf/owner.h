/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What is kept of the process that called connect or listen on a socket. */
#ifndef NANOAGENT_OWNER_H
#define NANOAGENT_OWNER_H

#include "task.h"

#define AF_INET6 10

struct owner {
	struct connection connection;
	char cgroup[CGROUP_LENGTH + CGROUP_NAME];
};

#endif

// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The collector's programs on typed tracepoints. */
#define HOOK "tp_btf/"

#include "process.h"
#include "connection.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

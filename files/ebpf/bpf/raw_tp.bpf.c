// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The collector's programs on raw tracepoints, for kernels without typed ones. */
#define HOOK "raw_tp/"
#define RAW_TRACEPOINTS

#include "process.h"
#include "connection.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

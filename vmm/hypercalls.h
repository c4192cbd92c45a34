// SPDX-License-Identifier: Apache-2.0
// Dispatch of hypercalls (guest_abi/hypercall.h): arguments are checked here, the work is done by the parts.
#pragma once

extern "C" {
// The guest calls this on the vCPU's host stack with interrupts off.  Returns >= 0 or -errno.
long pando_hypercall(long number, long a, long b, long c, long d, long e);
}

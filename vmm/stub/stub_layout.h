/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a stub process has above the guest's user addresses, for C++ (the VMM) and assembly (stub_code.S).
 *
 *   STUB_CODE      1 page   r-x  stub_code.S, the only page whose system calls the filter lets through
 *   STUB_CONTROL   2 pages  r--  written by the VMM alone: what the stub shall do
 *   STUB_REPORT    1 page   rw-  written by the stub, hence by any user code too: hostile
 *   STUB_STACK     8 pages  rw-  signal stack with the frame of the user code; hostile likewise
 *
 * Nothing else is mapped outside [0, PANDO_USER_TOP).  The distance to PANDO_USER_TOP is more than 4 GiB, so that a
 * mapping that starts below it and is shorter than 4 GiB (the filter looks at both) cannot reach the stub's pages.
 *
 * control page (V: VMM, S: stub)
 *   off  size  field
 *     0     8  go            V  random number; a new one lets the stub run
 *     8     8  ask           V  equal to go: the stub shall prove that it is parked
 *    16     4  spin          V  rounds that the stub spins before it sleeps; 0 at any time: sleep now
 *    20     4  vmm_sleeps    V  1: the vCPU thread waits in read(2): prove at once
 *    24     4  count         V  number of commands
 *    28     4  after         V  what follows the last command: STUB_RESUME user code, STUB_TELL (write `done` to the
 *                           pipe) and resume, STUB_STOP again with signal 0
 *    32     8  done          V  random number, never equal to any go
 *    40     4  fsgsbase      V  1: user code may change its segment bases: report and restore them
 *    44     4  frame         V  offset of the ucontext in the signal stack
 *    48     8  fs            V  with fsgsbase: bases to restore
 *    56     8  gs            V
 *    64     4  attention     V  futex: changes with go and with ask
 *   128   128 each  commands
 *
 * report page
 *     0     8  claim         S  = go when stopped (not trustworthy)
 *     8     8  proof         S  = go; what the stub writes to the pipe
 *    16     8  signal        S  signal number, 0, or STUB_COMMAND_FAILED
 *    24     8  info          S  address of siginfo; of a failed command: its result
 *    32     8  context       S  address of ucontext; of a failed command: its address
 *    40     8  fs            S  with fsgsbase
 *    48     8  gs            S
 *    56     4  sleeps        S  1: waits on the futex `attention`
 *    64     8  executed      S  = go when all commands of that go are executed (not trustworthy)
 *    72    32  payload       S  argument of ioctl(2)
 *
 * command
 *     0     8  number        system call
 *     8   6*8  arguments
 *    56     8  flags         STUB_MAY_FAIL
 *    64   3*8  payload       argument block of ioctl(2), copied to report.payload first
 */
#ifndef VMM_STUB_STUB_LAYOUT_H
#define VMM_STUB_STUB_LAYOUT_H

#define STUB_CODE		0x710000000000
#define STUB_CONTROL		0x710000001000
#define STUB_REPORT		0x710000003000
#define STUB_STACK		0x710000004000
#define STUB_STACK_BYTES	0x8000
#define STUB_END		0x71000000c000

#define STUB_CONTROL_BYTES	0x2000
#define STUB_MEMORY_BYTES	(STUB_END - STUB_CONTROL)	/* of the memfd behind all but the code */

#define CONTROL_GO		0
#define CONTROL_ASK		8
#define CONTROL_SPIN		16
#define CONTROL_VMM_SLEEPS	20
#define CONTROL_COUNT		24
#define CONTROL_AFTER		28
#define CONTROL_DONE		32
#define CONTROL_FSGSBASE	40
#define CONTROL_FRAME		44
#define CONTROL_FS		48
#define CONTROL_GS		56
#define CONTROL_ATTENTION	64
#define CONTROL_COMMANDS	128

#define REPORT_CLAIM		0
#define REPORT_PROOF		8
#define REPORT_SIGNAL		16
#define REPORT_INFO		24
#define REPORT_CONTEXT		32
#define REPORT_FS		40
#define REPORT_GS		48
#define REPORT_SLEEPS		56
#define REPORT_EXECUTED		64
#define REPORT_PAYLOAD		72

#define COMMAND_SHIFT		7
#define COMMAND_BYTES		128
#define COMMAND_ARGUMENTS	8
#define COMMAND_FLAGS		56
#define COMMAND_PAYLOAD		64
#define STUB_COMMANDS_MAX	62

#define STUB_MAY_FAIL		1

#define STUB_RESUME		0
#define STUB_TELL		1
#define STUB_STOP		2

#define STUB_COMMAND_FAILED	0x10000		/* report.signal */

/* The stub's only descriptors. */
#define STUB_FD_RAM		0
#define STUB_FD_UFFD		1
#define STUB_FD_PIPE		2

/* The signal that stops user code (SIGUSR1). */
#define STUB_KICK		10

#ifndef __ASSEMBLER__
#include <stdint.h>

#ifdef __cplusplus
#include <cstddef>
#include "guest_abi/layout.h"

struct stub_command {
	uint64_t number;
	uint64_t argument[6];
	uint64_t flags;
	uint64_t payload[3];
	uint64_t reserved[5];
};

struct stub_control {
	uint64_t go;
	uint64_t ask;
	uint32_t spin;
	uint32_t vmm_sleeps;
	uint32_t count;
	uint32_t after;
	uint64_t done;
	uint32_t fsgsbase;
	uint32_t frame;
	uint64_t fs;
	uint64_t gs;
	uint32_t attention;
	uint32_t reserved[15];
	struct stub_command command[STUB_COMMANDS_MAX];
};

struct stub_report {
	uint64_t claim;
	uint64_t proof;
	uint64_t signal;
	uint64_t info;
	uint64_t context;
	uint64_t fs;
	uint64_t gs;
	uint32_t sleeps;
	uint32_t reserved;
	uint64_t executed;
	uint64_t payload[4];
};

static_assert(sizeof(stub_command) == COMMAND_BYTES && COMMAND_BYTES == 1 << COMMAND_SHIFT);
static_assert(offsetof(stub_command, argument) == COMMAND_ARGUMENTS);
static_assert(offsetof(stub_command, flags) == COMMAND_FLAGS);
static_assert(offsetof(stub_command, payload) == COMMAND_PAYLOAD);
static_assert(offsetof(stub_control, ask) == CONTROL_ASK && offsetof(stub_control, spin) == CONTROL_SPIN);
static_assert(offsetof(stub_control, vmm_sleeps) == CONTROL_VMM_SLEEPS);
static_assert(offsetof(stub_control, count) == CONTROL_COUNT);
static_assert(offsetof(stub_control, after) == CONTROL_AFTER);
static_assert(offsetof(stub_control, done) == CONTROL_DONE);
static_assert(offsetof(stub_control, fsgsbase) == CONTROL_FSGSBASE);
static_assert(offsetof(stub_control, frame) == CONTROL_FRAME);
static_assert(offsetof(stub_control, fs) == CONTROL_FS && offsetof(stub_control, gs) == CONTROL_GS);
static_assert(offsetof(stub_control, attention) == CONTROL_ATTENTION);
static_assert(offsetof(stub_control, command) == CONTROL_COMMANDS);
static_assert(sizeof(stub_control) <= STUB_CONTROL_BYTES);
static_assert(offsetof(stub_report, proof) == REPORT_PROOF && offsetof(stub_report, signal) == REPORT_SIGNAL);
static_assert(offsetof(stub_report, info) == REPORT_INFO && offsetof(stub_report, context) == REPORT_CONTEXT);
static_assert(offsetof(stub_report, fs) == REPORT_FS && offsetof(stub_report, gs) == REPORT_GS);
static_assert(offsetof(stub_report, sleeps) == REPORT_SLEEPS);
static_assert(offsetof(stub_report, executed) == REPORT_EXECUTED);
static_assert(offsetof(stub_report, payload) == REPORT_PAYLOAD);
static_assert(STUB_CODE >= PANDO_USER_TOP + (uint64_t{1} << 32));
#endif
#endif

#endif

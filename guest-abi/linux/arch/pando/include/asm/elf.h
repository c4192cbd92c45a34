/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_PANDO_ELF_H
#define _ASM_PANDO_ELF_H

#include <asm/processor.h>
#include <asm/ptrace.h>
#include <asm/user.h>

#define R_X86_64_64	1
#define R_X86_64_PC32	2
#define R_X86_64_PLT32	4
#define R_X86_64_32	10
#define R_X86_64_32S	11
#define R_X86_64_PC64	24

typedef unsigned long elf_greg_t;
#define ELF_NGREG	27
typedef elf_greg_t elf_gregset_t[ELF_NGREG];
typedef struct {
	unsigned char fxsave[512];
} elf_fpregset_t;

#define ELF_CLASS	ELFCLASS64
#define ELF_DATA	ELFDATA2LSB
#define ELF_ARCH	EM_X86_64
#define elf_check_arch(x) ((x)->e_machine == EM_X86_64)
#define CORE_DUMP_USE_REGSET
#define ELF_EXEC_PAGESIZE	4096
#define ELF_ET_DYN_BASE	(TASK_SIZE / 3 * 2)
#define ELF_PLATFORM	"x86_64"
#define ELF_HWCAP	pando_hwcap
#define ELF_HWCAP2	pando_hwcap2
#define ELF_PLAT_INIT(regs, base) do { } while (0)	/* start_thread() clears all */

unsigned long pando_sigframe_bytes(void);
#define ARCH_DLINFO do { NEW_AUX_ENT(AT_MINSIGSTKSZ, pando_sigframe_bytes()); } while (0)

#define SET_PERSONALITY(ex) set_personality(PER_LINUX | (current->personality & ~PER_MASK))
#endif

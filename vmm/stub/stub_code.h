// SPDX-License-Identifier: Apache-2.0
// Labels of stub_code.S in the VMM's own image, and where they lie in a stub.
#pragma once

#include <cstdint>

#include "vmm/stub/stub_layout.h"

extern "C" {
extern const char stub_code[], stub_code_end[], stub_boot[], stub_first_trap[];
// The addresses behind the syscall instructions, which is what seccomp sees.
extern const char stub_after_prove[], stub_after_futex[], stub_after_mmap[], stub_after_mprotect[], stub_after_munmap[],
    stub_after_madvise[], stub_after_ioctl[], stub_after_arch_prctl[], stub_after_done[], stub_after_sigreturn[],
    stub_after_exit[];
}

namespace pando::stub {

inline uint64_t address_in_stub(const char* label) { return STUB_CODE + static_cast<uint64_t>(label - stub_code); }

}  // namespace pando::stub

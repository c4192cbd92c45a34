// SPDX-License-Identifier: Apache-2.0
// Threads that others wait for run before the guest's vCPUs, which are busy all the time.
#pragma once

namespace pando::dsm {

// Real-time scheduling for the calling thread where this process may have it (children start without), else nothing.
// True: it has it.  Cheap when called again.
bool make_thread_responsive();

}  // namespace pando::dsm

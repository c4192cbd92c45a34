// SPDX-License-Identifier: Apache-2.0
// A recording as a trace file that Perfetto and chrome://tracing open ("Trace Event Format", JSON object form).
//
// Each node is a process; its rows are the virtual CPUs with the faults they waited for, the protocol's messages (arrows lead
// from sending to receiving), interrupts and shoot-downs, and pages taken away.  Times are those of the first node's
// clock; what was lost is a counter at the end and in otherData.
#pragma once

#include <functional>
#include <string>

#include "proto/observe.pb.h"
#include "tools/observe/naming.h"

namespace pando::observe {

// Called with pieces of the file, in order.
using Sink = std::function<void(const std::string&)>;
void write_chrome_trace(const v1::Recording& recording, const Naming& naming, const Sink& sink);

}  // namespace pando::observe

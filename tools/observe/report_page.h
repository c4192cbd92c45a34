// SPDX-License-Identifier: Apache-2.0
// A recording as one HTML page with plots, without anything from elsewhere: page heat map over time, latencies of the
// legs of a fault, traffic between nodes, hot places and symbols, advice.  The page itself is report.html; this fills in its data.
#pragma once

#include <string>

#include "tools/observe/top_view.h"

namespace pando::observe {

std::string report_page(const Analysis& analysis);
// What the page draws, as one JSON object.
std::string report_json(const Analysis& analysis);

}  // namespace pando::observe

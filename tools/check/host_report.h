// SPDX-License-Identifier: Apache-2.0
// The facts of this host that Pando stands on, found by trying where that is possible.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proto/host.pb.h"
#include "tools/config/quantity.h"

namespace pando::check {

// Features of userfaultfd that every node needs, with the first Linux that has them.
struct UffdFeature {
  uint64_t bit;
  const char* name;
  const char* since;
};
const std::vector<UffdFeature>& needed_uffd_features();

// `listen`: an address that an agent is to listen on.
v1::HostReport report_host(const config::Endpoint& listen);

// Parts, for tests.
std::vector<std::string> parse_cpu_flags(std::string_view cpuinfo);
uint64_t parse_meminfo(std::string_view meminfo, std::string_view key);  // bytes; 0 = absent

}  // namespace pando::check

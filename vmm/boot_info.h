// SPDX-License-Identifier: Apache-2.0
// Filling in struct pando_boot (guest_abi/boot.h) from what the cluster agreed on and from this host's processor.
#pragma once

#include <guest_abi/boot.h>

#include <cstdint>
#include <string>

#include "base/types.h"
#include "dsm/client/node_client.h"

namespace pando::vmm {

struct BootInfoInputs {
  const dsm::ClusterLayout* layout = nullptr;
  std::string command_line;
  GuestPhys initrd_at{};
  uint64_t initrd_bytes = 0;
  uint32_t fpu_bytes = 0;
  uint64_t xfeatures = 0;
  bool fsgsbase = false;
};

struct BootInfo {
  pando_boot info{};
};

// Throws UserError if the command line is too long.
BootInfo make_boot_info(const BootInfoInputs& inputs);

}  // namespace pando::vmm

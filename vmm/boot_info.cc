// SPDX-License-Identifier: Apache-2.0
#include "vmm/boot_info.h"

#include <cpuid.h>
#include <sys/auxv.h>

#include <cstddef>
#include <cstring>

#include "base/error.h"

namespace pando::vmm {

namespace {

constexpr uint64_t kHwcap2Fsgsbase = 2;
// Agreed by being fixed.  BogoMIPS in /proc/cpuinfo comes from it; delays read the clock.
constexpr uint64_t kLoopsPerSecond = 1'000'000'000;

// What Linux gives programs as AT_HWCAP.  Not getauxval(): glibc keeps something else there.
uint64_t cpuid_features() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  __get_cpuid(1, &a, &b, &c, &d);
  return d;
}

void fill_topology(pando_boot& boot, const dsm::ClusterLayout& layout) {
  boot.node_count = static_cast<uint32_t>(layout.nodes.size());
  boot.vcpu_count = static_cast<uint32_t>(layout.vcpu_node.size());
  for (size_t i = 0; i < layout.nodes.size(); ++i)
    boot.ranges[i] = {layout.nodes[i].start.value(), layout.nodes[i].bytes};
  for (size_t i = 0; i < layout.vcpu_node.size(); ++i) boot.vcpu_node[i] = layout.vcpu_node[i].value();
  for (size_t a = 0; a < layout.nodes.size(); ++a)
    for (size_t b = 0; b < layout.nodes.size(); ++b)
      boot.distance[a * PANDO_NODES_MAX + b] = layout.distance(a, b);
  for (size_t i = 0; i < layout.names.size() && i < PANDO_NODES_MAX; ++i)
    std::strncpy(boot.node_name[i], layout.names[i].c_str(), sizeof boot.node_name[i] - 1);
}

}  // namespace

static_assert(offsetof(pando_boot, magic) == 0 && offsetof(pando_boot, version) == 8);
static_assert(offsetof(pando_boot, features) == 16 && offsetof(pando_boot, cmdline_gpa) == 24);
static_assert(offsetof(pando_boot, initrd_gpa) == 32 && offsetof(pando_boot, initrd_bytes) == 40);
static_assert(offsetof(pando_boot, hwcap) == 48 && offsetof(pando_boot, hwcap2) == 56);
static_assert(offsetof(pando_boot, fpu_bytes) == 64 && offsetof(pando_boot, node_count) == 68);
static_assert(offsetof(pando_boot, vcpu_count) == 72 && offsetof(pando_boot, device_count) == 76);
static_assert(offsetof(pando_boot, loops_per_second) == 80 && offsetof(pando_boot, xfeatures) == 88);
static_assert(offsetof(pando_boot, ranges) == 96 && offsetof(pando_boot, vcpu_node) == 352 && offsetof(pando_boot, distance) == 416);
static_assert(offsetof(pando_boot, node_name) == 672 && sizeof(pando_boot) == 928);

BootInfo make_boot_info(const BootInfoInputs& inputs) {
  if (inputs.command_line.size() >= PANDO_CMDLINE_MAX)
    throw UserError("kernel command line: has " + std::to_string(inputs.command_line.size()) +
                    " characters, at most " + std::to_string(PANDO_CMDLINE_MAX - 1) +
                    " are accepted: shorten `append` in the configuration");
  BootInfo result;
  pando_boot& boot = result.info;
  boot.magic = PANDO_BOOT_MAGIC;
  boot.version = PANDO_ABI_VERSION;
  boot.size = sizeof boot;
  boot.features = PANDO_FEATURE_UFFD | (inputs.fsgsbase ? PANDO_FEATURE_FSGSBASE : 0);
  boot.cmdline_gpa = PANDO_CMDLINE_GPA;
  boot.initrd_gpa = inputs.initrd_at.value();
  boot.initrd_bytes = inputs.initrd_bytes;
  boot.hwcap = cpuid_features();
  boot.hwcap2 = getauxval(AT_HWCAP2);
  // User code that writes fs itself loses it where stubs do not carry it over.
  if (!inputs.fsgsbase) boot.hwcap2 &= ~kHwcap2Fsgsbase;
  boot.fpu_bytes = inputs.fpu_bytes;
  boot.xfeatures = inputs.xfeatures;
  boot.loops_per_second = kLoopsPerSecond;
  fill_topology(boot, *inputs.layout);
  return result;
}

}  // namespace pando::vmm

// SPDX-License-Identifier: Apache-2.0
#include "vmm/boot_info.h"

#include <signal.h>
#include <sys/auxv.h>
#include <ucontext.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "base/error.h"

namespace pando::vmm {

namespace {

constexpr uint64_t kHwcap2Fsgsbase = 2;
constexpr uint32_t kXstateMagic1 = 0x46505853;  // FP_XSTATE_MAGIC1
constexpr size_t kSwReservedOffset = 464;       // struct _fpx_sw_bytes inside the fxsave image
constexpr uint32_t kFxsaveBytes = 512;
// Of the first virtual CPU only: BogoMIPS in /proc/cpuinfo and udelay()'s fallback; the real delay reads the clock.
constexpr uint64_t kLoopsPerSecond = 1'000'000'000;

volatile uint32_t probed_bytes;

void on_probe(int, siginfo_t*, void* opaque) {
  const auto* context = static_cast<const ucontext_t*>(opaque);
  const auto* image = reinterpret_cast<const uint8_t*>(context->uc_mcontext.fpregs);
  uint32_t words[2];
  std::memcpy(words, image + kSwReservedOffset, sizeof words);
  probed_bytes = words[0] == kXstateMagic1 ? words[1] : kFxsaveBytes;
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
static_assert(offsetof(pando_boot, loops_per_second) == 80 && offsetof(pando_boot, ranges) == 96);
static_assert(offsetof(pando_boot, vcpu_node) == 352 && offsetof(pando_boot, distance) == 416);
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
  boot.features = PANDO_FEATURE_UFFD;
  boot.cmdline_gpa = PANDO_CMDLINE_GPA;
  boot.initrd_gpa = inputs.initrd_at.value();
  boot.initrd_bytes = inputs.initrd_bytes;
  boot.hwcap = getauxval(AT_HWCAP);
  // Without FSGSBASE in the hand-over, a user program that changes fs itself would lose it.
  boot.hwcap2 = getauxval(AT_HWCAP2) & ~kHwcap2Fsgsbase;
  boot.fpu_bytes = inputs.fpu_bytes;
  boot.loops_per_second = kLoopsPerSecond;
  fill_topology(boot, *inputs.layout);
  return result;
}

uint32_t host_fpu_bytes() {
  struct sigaction probe {}, old {};
  probe.sa_sigaction = on_probe;
  probe.sa_flags = SA_SIGINFO;
  check_errno(sigaction(SIGURG, &probe, &old), "sigaction");
  probed_bytes = 0;
  ::raise(SIGURG);
  check_errno(sigaction(SIGURG, &old, nullptr), "sigaction");
  const uint32_t bytes = probed_bytes;
  if (bytes < kFxsaveBytes || bytes > PANDO_FPU_MAX)
    throw UserError("this processor's FPU state has " + std::to_string(bytes) +
                    " bytes in a signal frame; Pando supports 512 to " + std::to_string(PANDO_FPU_MAX));
  return bytes;
}

}  // namespace pando::vmm

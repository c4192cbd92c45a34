// SPDX-License-Identifier: Apache-2.0
// The ABI headers are documents first: their tables of offsets are read here and compared with what the compiler does.
#include <guest_abi/boot.h>
#include <guest_abi/hypercall.h>
#include <guest_abi/user.h>
#include <guest_abi/vcpu.h>

#include <cctype>
#include <cstddef>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "tests/catch.h"

namespace {

// Rows " *   OFF  SIZE  [who|dir]  name..." of a header's first comment: name -> offset.
std::map<std::string, size_t> documented_offsets(const std::string& header) {
  std::ifstream in(std::string(PANDO_SOURCE_DIR) + "/guest-abi/include/guest_abi/" + header);
  REQUIRE(in.good());
  std::map<std::string, size_t> offsets;
  for (std::string line; std::getline(in, line) && line.find("*/") == std::string::npos ? true : offsets.empty();) {
    std::istringstream words(line);
    std::string star, offset, size, third, fourth;
    if (!(words >> star >> offset >> size >> third) || star != "*" || !std::isdigit(offset[0])) continue;
    words >> fourth;
    const bool has_column = third == "GV" || third == "V" || third == "G" || third == "IN" || third == "INOUT" ||
                            third == "OUT";
    std::string name = has_column ? fourth : third;
    while (!name.empty() && !std::isalnum(static_cast<unsigned char>(name.back())) && name.back() != '_')
      name.pop_back();
    name = name.substr(0, name.find('['));
    if (std::isdigit(size[0])) offsets[name] = std::stoul(offset);
  }
  return offsets;
}

#define ROW(type, name) \
  { #name, offsetof(type, name) }

void require_same(const std::map<std::string, size_t>& documented, const std::map<std::string, size_t>& compiled) {
  for (const auto& [name, offset] : compiled) {
    INFO("field " << name);
    REQUIRE(documented.count(name) == 1);
    REQUIRE(documented.at(name) == offset);
  }
}

}  // namespace

TEST_CASE("guest ABI: boot info: the documented offsets are the compiled ones") {
  require_same(documented_offsets("boot.h"),
               {ROW(pando_boot, magic), ROW(pando_boot, version), ROW(pando_boot, size),
                ROW(pando_boot, features), ROW(pando_boot, cmdline_gpa), ROW(pando_boot, initrd_gpa),
                ROW(pando_boot, initrd_bytes), ROW(pando_boot, hwcap), ROW(pando_boot, hwcap2),
                ROW(pando_boot, fpu_bytes), ROW(pando_boot, node_count), ROW(pando_boot, vcpu_count),
                ROW(pando_boot, device_count), ROW(pando_boot, loops_per_second), ROW(pando_boot, xfeatures),
                ROW(pando_boot, vcpu_node), ROW(pando_boot, ranges), ROW(pando_boot, distance),
                ROW(pando_boot, node_name)});
}

TEST_CASE("guest ABI: vCPU block: the documented offsets are the compiled ones") {
  require_same(documented_offsets("vcpu.h"),
               {ROW(pando_vcpu_block, irq_on), ROW(pando_vcpu_block, pending),
                ROW(pando_vcpu_block, host_sp), ROW(pando_vcpu_block, hypercall),
                ROW(pando_vcpu_block, cpu), ROW(pando_vcpu_block, percpu_offset),
                ROW(pando_vcpu_block, self)});
  REQUIRE(offsetof(pando_vcpu_block, current_task) == PANDO_VB_CURRENT);
}

TEST_CASE("guest ABI: user context: the documented offsets are the compiled ones") {
  require_same(documented_offsets("user.h"),
               {ROW(pando_user, regs), ROW(pando_user, fpu), ROW(pando_user, fs_base),
                ROW(pando_user, gs_base), ROW(pando_user, address), ROW(pando_user, error),
                ROW(pando_user, trap), ROW(pando_user, signal), ROW(pando_user, code)});
}

TEST_CASE("guest ABI: resync list: it fills one page at most") {
  REQUIRE(sizeof(pando_resync) <= 4096);
  REQUIRE(offsetof(pando_resync, entry) == 24);
}

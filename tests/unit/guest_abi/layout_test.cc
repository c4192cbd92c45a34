// SPDX-License-Identifier: Apache-2.0
// The ABI headers are documents first: their tables of offsets are read here and compared with what the compiler does.
#include <guest_abi/boot.h>
#include <guest_abi/debug.h>
#include <guest_abi/hypercall.h>
#include <guest_abi/user.h>
#include <guest_abi/vcpu.h>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/catch.h"

namespace {

struct Place {
  size_t offset, bytes;
  bool operator==(const Place&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Place& place) {
  return out << "offset " << place.offset << ", " << place.bytes << " bytes";
}

// The words of a header's first comment, line by line, without the leading star.
std::vector<std::vector<std::string>> first_comment(const std::string& header) {
  std::ifstream in(std::string(PANDO_SOURCE_DIR) + "/guest-abi/include/guest_abi/" + header);
  REQUIRE(in.good());
  std::vector<std::vector<std::string>> lines;
  std::string line;
  std::getline(in, line);  // the licence
  while (std::getline(in, line) && line.find("*/") == std::string::npos) {
    std::istringstream words(line.substr(line.find('*') + 1));
    lines.emplace_back(std::istream_iterator<std::string>(words), std::istream_iterator<std::string>());
  }
  return lines;
}

// "16", "16*PANDO_NODES_MAX", "1*256"
std::optional<size_t> size_of_field(std::string text) {
  const std::map<std::string, size_t> names{{"PANDO_NODES_MAX", PANDO_NODES_MAX}, {"PANDO_VCPUS_MAX", PANDO_VCPUS_MAX}};
  size_t product = 1;
  std::istringstream factors(text);
  for (std::string factor; std::getline(factors, factor, '*');) {
    const auto name = names.find(factor);
    if (name == names.end() && (factor.empty() || factor.find_first_not_of("0123456789") != std::string::npos))
      return std::nullopt;
    product *= name == names.end() ? std::stoul(factor) : name->second;
  }
  return product;
}

// "distance[a", "ranges:" -> "distance", "ranges"
std::string field_name(const std::string& word) {
  const auto in_name = [](unsigned char c) { return std::isalnum(c) || c == '_'; };
  return {word.begin(), std::find_if_not(word.begin(), word.end(), in_name)};
}

// Rows "OFF SIZE [who|dir] name..." of a header's first comment.
std::map<std::string, Place> documented(const std::string& header) {
  const std::set<std::string> columns{"GV", "V", "G", "IN", "INOUT", "OUT"};
  std::map<std::string, Place> fields;
  for (const auto& words : first_comment(header)) {
    if (words.size() < 3 || words[0].find_first_not_of("0123456789") != std::string::npos) continue;
    const std::optional<size_t> bytes = size_of_field(words[1]);
    if (!bytes) continue;
    const bool has_column = columns.count(words[2]) == 1 && words.size() > 3;
    fields[field_name(words[has_column ? 3 : 2])] = {std::stoul(words[0]), *bytes};
  }
  return fields;
}

#define ROW(type, name) \
  {                     \
    #name, { offsetof(type, name), sizeof(type::name) } \
  }

// Both ways: nothing is documented that is not there, and nothing is there that is not documented.
void require_same(const std::map<std::string, Place>& documented, const std::map<std::string, Place>& compiled,
                  size_t bytes) {
  size_t covered = 0;
  for (const auto& [name, place] : compiled) {
    INFO("field " << name);
    REQUIRE(documented.count(name) == 1);
    REQUIRE(documented.at(name) == place);
    covered += place.bytes;
  }
  for (const auto& [name, place] : documented) {
    INFO("documented field " << name);
    REQUIRE(compiled.count(name) == 1);
  }
  INFO("a field of the structure is not compared, or there is padding");
  REQUIRE(covered == bytes);
}

}  // namespace

TEST_CASE("guest ABI: boot info: the documented offsets and sizes are the compiled ones") {
  require_same(documented("boot.h"),
               {ROW(pando_boot, magic), ROW(pando_boot, version), ROW(pando_boot, size),
                ROW(pando_boot, features), ROW(pando_boot, cmdline_gpa), ROW(pando_boot, initrd_gpa),
                ROW(pando_boot, initrd_bytes), ROW(pando_boot, hwcap), ROW(pando_boot, hwcap2),
                ROW(pando_boot, fpu_bytes), ROW(pando_boot, node_count), ROW(pando_boot, vcpu_count),
                ROW(pando_boot, device_count), ROW(pando_boot, loops_per_second), ROW(pando_boot, xfeatures),
                ROW(pando_boot, vcpu_node), ROW(pando_boot, ranges), ROW(pando_boot, distance),
                ROW(pando_boot, node_name)},
               sizeof(pando_boot));
}

TEST_CASE("guest ABI: vCPU block: the documented offsets and sizes are the compiled ones") {
  auto compiled = std::map<std::string, Place>{
      ROW(pando_vcpu_block, irq_on), ROW(pando_vcpu_block, translations), ROW(pando_vcpu_block, pending),
      ROW(pando_vcpu_block, host_sp),
      ROW(pando_vcpu_block, hypercall), ROW(pando_vcpu_block, cpu), ROW(pando_vcpu_block, percpu_offset),
      ROW(pando_vcpu_block, self)};
  // "current" is a macro in the kernel.
  compiled["current"] = {offsetof(pando_vcpu_block, current_task), sizeof(pando_vcpu_block::current_task)};
  constexpr size_t kBehindIrqOn = PANDO_VB_TRANSLATIONS - 1;
  require_same(documented("vcpu.h"), compiled, sizeof(pando_vcpu_block) - kBehindIrqOn);
}

TEST_CASE("guest ABI: user context: the documented offsets and sizes are the compiled ones") {
  require_same(documented("user.h"),
               {ROW(pando_user, regs), ROW(pando_user, fpu), ROW(pando_user, fs_base),
                ROW(pando_user, gs_base), ROW(pando_user, address), ROW(pando_user, error),
                ROW(pando_user, trap), ROW(pando_user, signal), ROW(pando_user, code)},
               sizeof(pando_user));
}

TEST_CASE("guest ABI: debugger's note: the documented offsets and sizes are the compiled ones") {
  require_same(documented("debug.h"),
               {ROW(pando_debug_info, version), ROW(pando_debug_info, size), ROW(pando_debug_info, kernel_pgd),
                ROW(pando_debug_info, task_mm), ROW(pando_debug_info, task_pid), ROW(pando_debug_info, task_tgid),
                ROW(pando_debug_info, task_comm), ROW(pando_debug_info, mm_pgd), ROW(pando_debug_info, reserved)},
               sizeof(pando_debug_info));
}

TEST_CASE("guest ABI: hypercalls: the documented numbers are the compiled ones, without gaps") {
#define NUMBER(name) \
  { #name, PANDO_HC_##name }
  const std::map<std::string, size_t> compiled{
      NUMBER(CONSOLE_WRITE), NUMBER(CONSOLE_READ), NUMBER(CLOCK),        NUMBER(TIMER),     NUMBER(IDLE),
      NUMBER(POWER),         NUMBER(IPI),          NUMBER(VCPU_START),   NUMBER(KERNEL_MAP), NUMBER(KERNEL_UNMAP),
      NUMBER(MM_MAP),        NUMBER(MM_UNMAP),     NUMBER(MM_RESYNC),    NUMBER(MM_FREE),   NUMBER(RUN_USER),
      NUMBER(SET_ENTRY),     NUMBER(LOCK_WAIT),    NUMBER(LOCK_KICK),    NUMBER(STATS),
      NUMBER(MM_NAME)};
#undef NUMBER
  std::map<std::string, size_t> numbers;
  for (const auto& words : first_comment("hypercall.h")) {
    const bool row = words.size() >= 3 && words[0].find_first_not_of("0123456789") == std::string::npos &&
                     words[1].find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == std::string::npos;
    if (row) numbers[words[1]] = std::stoul(words[0]);
  }
  REQUIRE(numbers == compiled);
  std::set<size_t> distinct;
  for (const auto& [name, number] : numbers) distinct.insert(number);
  REQUIRE(distinct.size() == compiled.size());
  REQUIRE(*distinct.rbegin() == compiled.size());
}

TEST_CASE("guest ABI: resync list: it fills one page at most") {
  REQUIRE(sizeof(pando_resync) <= 4096);
  REQUIRE(offsetof(pando_resync, entry) == 24);
}

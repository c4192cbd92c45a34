// SPDX-License-Identifier: Apache-2.0
// GDB's `monitor` commands.
#include <guest_abi/layout.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <sstream>

#include "tools/gdb/cluster_target.h"
#include "tools/gdb/packet.h"
#include "tools/observe/top_view.h"

namespace pando::gdb {

namespace {

constexpr const char* kHelp =
    "monitor commands of Pando (numbers are hexadecimal):\n"
    "  phys ADDRESS [BYTES]   guest-physical memory\n"
    "  page ADDRESS           the page of a virtual address: home, owner, sharers, versions, faults, on each node\n"
    "  page phys ADDRESS      the same for a guest-physical address\n"
    "  hot [PLACES]           the places of memory that the nodes fought over lately (decimal; default 10)\n"
    "  nodes                  the hosts, their memory and virtual CPUs\n"
    "  vcpus                  where each virtual CPU stands\n"
    "  help\n";
constexpr size_t kDumpMax = 4096, kDumpDefault = 64, kDumpLine = 16;
constexpr size_t kHotDefault = 10, kHotMax = 1000;

std::string hex(uint64_t value) {
  char text[20];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

std::string_view next_word(std::string_view& text) {
  const size_t start = std::min(text.find_first_not_of(' '), text.size());
  text.remove_prefix(start);
  const size_t end = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

std::optional<uint64_t> number(std::string_view word) {
  if (word.starts_with("0x") || word.starts_with("0X")) word.remove_prefix(2);
  return parse_hex(word);
}

std::string dump(uint64_t address, std::span<const uint8_t> bytes) {
  std::string out;
  for (size_t at = 0; at < bytes.size(); at += kDumpLine) {
    const auto line = bytes.subspan(at, std::min(kDumpLine, bytes.size() - at));
    out += hex(address + at) + ":";
    for (const uint8_t b : line) out += " " + to_hex({reinterpret_cast<const char*>(&b), 1});
    out += "  ";
    for (const uint8_t b : line) out += b >= 0x20 && b < 0x7f ? static_cast<char>(b) : '.';
    out += "\n";
  }
  return out;
}

}  // namespace

std::string ClusterTarget::monitor(std::string_view command) {
  std::string_view rest = command;
  const std::string_view word = next_word(rest);
  if (word == "phys") return monitor_phys(rest);
  if (word == "page") return monitor_page(rest);
  if (word == "nodes") return monitor_nodes();
  if (word == "vcpus") return monitor_vcpus();
  if (word == "hot") return monitor_hot(rest);
  if (command == "info version") return "Pando";  // Linux's scripts ask: thread N + 1 is CPU N
  if (word == "help" || word.empty()) return kHelp;
  return "unknown command \"" + std::string(word) + "\"; try monitor help";
}

std::string ClusterTarget::monitor_phys(std::string_view arguments) {
  const auto address = number(next_word(arguments));
  const std::string_view length = next_word(arguments);
  const auto bytes = length.empty() ? std::optional<uint64_t>(kDumpDefault) : number(length);
  if (!address || !bytes) return "usage: monitor phys ADDRESS [BYTES]";
  std::vector<uint8_t> content(std::min<uint64_t>(*bytes, kDumpMax));
  if (!read_physical(GuestPhys(*address), content, 0)) return "no guest memory at " + hex(*address);
  hide_breakpoints(GuestPhys(*address), content);
  return dump(*address, content);
}

std::string ClusterTarget::monitor_page(std::string_view arguments) {
  std::string_view word = next_word(arguments);
  const bool physical = word == "phys";
  if (physical) word = next_word(arguments);
  const auto address = number(word);
  if (!address) return "usage: monitor page [phys] ADDRESS";
  const auto at = physical ? std::optional(GuestPhys(*address)) : translate(any_vcpu(), GuestVirt(*address));
  if (!at || at->value() >= ram_bytes_) return hex(*address) + " is not mapped";
  std::ostringstream out;
  out << "page " << hex(page_of(*at).value()) << " (guest-physical " << hex(page_floor(at->value())) << ")";
  const uint64_t kernel = PANDO_RAM_BASE + page_floor(at->value());
  if (const auto place = image_.find(kernel)) out << " " << image_.describe(kernel);
  out << "\n";
  for (Node& node : nodes_) {
    const auto reply = node.link->ask(dsm::DebugOperation::Page, 0, at->value());
    if (!reply) continue;
    const v1::DebugPage& p = reply->page();
    out << "  node " << node.info.name() << ": " << p.cache_state() << (p.present() ? ", present" : "")
        << (p.mapped() ? ", mapped" : "") << ", version " << p.version() << ", faults " << p.faults();
    if (p.is_home()) {
      out << "; home: owner " << (p.owner() < 0 ? std::string("memory") : "node " + std::to_string(p.owner()))
          << ", sharers {";
      for (int i = 0; i < p.sharers_size(); ++i) out << (i ? "," : "") << p.sharers(i);
      out << "}, version " << p.home_version() << (p.busy() ? ", busy" : "");
    }
    out << "\n";
  }
  return out.str();
}

std::string ClusterTarget::monitor_hot(std::string_view arguments) {
  const std::string_view word = next_word(arguments);
  size_t wanted = kHotDefault;
  if (!word.empty() && (std::from_chars(word.data(), word.data() + word.size(), wanted).ptr != word.data() + word.size() ||
                        wanted == 0 || wanted > kHotMax))
    return "usage: monitor hot [PLACES], 1 to " + std::to_string(kHotMax);
  if (!access_.record) return "no fault records";
  const v1::Recording recording = access_.record();
  const observe::Analysis analysis(recording, &image_);
  std::ostringstream out;
  for (const v1::RecordedNode& node : recording.nodes())
    if (!node.error().empty()) out << "node " << node.name() << ": " << node.error() << "\n";
  out << "  faults   wait ms  home    nodes                 place, code\n";
  for (size_t i = 0; i < std::min(wanted, analysis.places.size()); ++i)
    out << observe::hot_line(analysis, analysis.places[i]) << "\n";
  if (analysis.places.empty()) out << "  no fault had to wait for another node\n";
  return out.str();
}

std::string ClusterTarget::monitor_nodes() {
  std::ostringstream out;
  for (Node& node : nodes_) {
    if (const auto reply = node.link->ask(dsm::DebugOperation::Node)) node.info = reply->node();
    const v1::DebugNode& n = node.info;
    out << "node " << n.node() << " " << n.name() << ": memory " << hex(n.ram_start()) << " .. "
        << hex(n.ram_start() + n.ram_bytes()) << " (" << (n.ram_bytes() >> 20) << " MiB), cpus " << n.first_vcpu()
        << " .. " << n.first_vcpu() + n.vcpus() - 1 << ", "
        << (!node.link->alive() ? "lost" : n.vmm_running() ? "runs" : "its VMM is dead: read-only") << "\n";
  }
  return out.str();
}

std::string ClusterTarget::monitor_vcpus() {
  std::ostringstream out;
  for (const auto& [id, vcpu] : vcpus_) {
    out << "cpu" << id << " (node " << nodes_[vcpu.node].info.name() << "): " << task_of(vcpu);
    if (const auto registers = vcpu.state.where == dsm::DebugWhere::NotStarted ? std::nullopt : read_registers(VcpuId(id)))
      out << ", at " << (vcpu.state.where == dsm::DebugWhere::User ? hex(registers->rip()) : image_.describe(registers->rip()));
    out << "\n";
  }
  return out.str();
}

}  // namespace pando::gdb

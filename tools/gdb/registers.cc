// SPDX-License-Identifier: Apache-2.0
#include "tools/gdb/registers.h"

#include <algorithm>
#include <cstring>

#include "tools/gdb/packet.h"

namespace pando::gdb {

namespace {

enum class Place : uint8_t { General, FsBase, GsBase, Xsave, FullTag };

struct Register {
  std::string name;
  const char* feature;
  const char* type;
  size_t bytes;  // as sent to GDB
  Place place;
  size_t at;            // General: index; Xsave: byte offset
  size_t stored_bytes;  // Xsave: bytes there, the rest is zero
  const char* group = nullptr;
};

constexpr const char* kCore = "org.gnu.gdb.i386.core";
constexpr const char* kSse = "org.gnu.gdb.i386.sse";
constexpr const char* kSegments = "org.gnu.gdb.i386.segments";
constexpr const char* kAvx = "org.gnu.gdb.i386.avx";

// Byte offsets in the xsave image.
constexpr size_t kFcw = 0, kFsw = 2, kFtw = 4, kFop = 6, kFip = 8, kFipHigh = 12, kFdp = 16, kFdpHigh = 20;
constexpr size_t kMxcsr = 24, kSt = 32, kXmm = 160, kYmmHigh = 576;

void add_general(std::vector<Register>& out) {
  const char* const names[] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8",
                               "r9",  "r10", "r11", "r12", "r13", "r14", "r15", "rip"};
  size_t index = 0;
  for (const char* name : names) {
    const char* type = index == 6 || index == 7 ? "data_ptr" : index == kRip ? "code_ptr" : "int64";
    out.push_back({name, kCore, type, 8, Place::General, index++, 8});
  }
  for (const char* name : {"eflags", "cs", "ss", "ds", "es", "fs", "gs"})
    out.push_back({name, kCore, index == kEflags ? "i386_eflags" : "int32", 4, Place::General, index++, 4});
}

void add_x87(std::vector<Register>& out) {
  for (size_t i = 0; i < 8; ++i)
    out.push_back({"st" + std::to_string(i), kCore, "i387_ext", 10, Place::Xsave, kSt + 16 * i, 10});
  const auto control = [&](const char* name, Place place, size_t at, size_t stored) {
    out.push_back({name, kCore, "int", 4, place, at, stored, "float"});
  };
  control("fctrl", Place::Xsave, kFcw, 2);
  control("fstat", Place::Xsave, kFsw, 2);
  control("ftag", Place::FullTag, kFtw, 1);
  control("fiseg", Place::Xsave, kFipHigh, 4);
  control("fioff", Place::Xsave, kFip, 4);
  control("foseg", Place::Xsave, kFdpHigh, 4);
  control("fooff", Place::Xsave, kFdp, 4);
  control("fop", Place::Xsave, kFop, 2);
}

std::vector<Register> make_table() {
  std::vector<Register> out;
  add_general(out);
  add_x87(out);
  for (size_t i = 0; i < 16; ++i)
    out.push_back({"xmm" + std::to_string(i), kSse, "vec128", 16, Place::Xsave, kXmm + 16 * i, 16});
  out.push_back({"mxcsr", kSse, "i386_mxcsr", 4, Place::Xsave, kMxcsr, 4, "vector"});
  out.push_back({"fs_base", kSegments, "int", 8, Place::FsBase, 0, 8});
  out.push_back({"gs_base", kSegments, "int", 8, Place::GsBase, 0, 8});
  for (size_t i = 0; i < 16; ++i)
    out.push_back({"ymm" + std::to_string(i) + "h", kAvx, "uint128", 16, Place::Xsave, kYmmHigh + 16 * i, 16});
  return out;
}

const std::vector<Register>& table() {
  static const std::vector<Register> registers = make_table();
  return registers;
}

// The x87 tag word has two bits per register (3 = empty); the xsave image keeps one (0 = empty).
uint32_t full_tag(uint8_t abridged) {
  uint32_t tag = 0;
  for (unsigned i = 0; i < 8; ++i)
    if (!(abridged >> i & 1)) tag |= 3u << (2 * i);
  return tag;
}

uint8_t abridged_tag(uint32_t tag) {
  uint8_t abridged = 0;
  for (unsigned i = 0; i < 8; ++i)
    if ((tag >> (2 * i) & 3) != 3) abridged = static_cast<uint8_t>(abridged | 1u << i);
  return abridged;
}

std::string little_endian(uint64_t value, size_t bytes) {
  return std::string(reinterpret_cast<const char*>(&value), bytes);
}

std::string value_of(const Registers& registers, const Register& r) {
  switch (r.place) {
    case Place::General: return little_endian(registers.general[r.at], r.bytes);
    case Place::FsBase: return little_endian(registers.fs_base, r.bytes);
    case Place::GsBase: return little_endian(registers.gs_base, r.bytes);
    case Place::Xsave:
    case Place::FullTag: break;
  }
  if (r.at + r.stored_bytes > registers.xsave.size()) return {};
  if (r.place == Place::FullTag) return little_endian(full_tag(registers.xsave[r.at]), r.bytes);
  std::string value(r.bytes, '\0');
  std::memcpy(value.data(), registers.xsave.data() + r.at, r.stored_bytes);
  return value;
}

uint64_t number_of(std::string_view bytes) {
  uint64_t value = 0;
  std::memcpy(&value, bytes.data(), std::min(bytes.size(), sizeof value));
  return value;
}

bool set_value(Registers& registers, const Register& r, std::string_view bytes) {
  switch (r.place) {
    case Place::General: registers.general[r.at] = number_of(bytes); return true;
    case Place::FsBase: registers.fs_base = number_of(bytes); return true;
    case Place::GsBase: registers.gs_base = number_of(bytes); return true;
    case Place::Xsave:
    case Place::FullTag: break;
  }
  if (r.at + r.stored_bytes > registers.xsave.size()) return false;
  if (r.place == Place::FullTag)
    registers.xsave[r.at] = abridged_tag(static_cast<uint32_t>(number_of(bytes)));
  else
    std::memcpy(registers.xsave.data() + r.at, bytes.data(), r.stored_bytes);
  return true;
}

const char* feature_types(std::string_view feature) {
  if (feature == kCore)
    return "<flags id=\"i386_eflags\" size=\"4\">"
           "<field name=\"CF\" start=\"0\" end=\"0\"/><field name=\"PF\" start=\"2\" end=\"2\"/>"
           "<field name=\"AF\" start=\"4\" end=\"4\"/><field name=\"ZF\" start=\"6\" end=\"6\"/>"
           "<field name=\"SF\" start=\"7\" end=\"7\"/><field name=\"TF\" start=\"8\" end=\"8\"/>"
           "<field name=\"IF\" start=\"9\" end=\"9\"/><field name=\"DF\" start=\"10\" end=\"10\"/>"
           "<field name=\"OF\" start=\"11\" end=\"11\"/><field name=\"NT\" start=\"14\" end=\"14\"/>"
           "<field name=\"RF\" start=\"16\" end=\"16\"/><field name=\"AC\" start=\"18\" end=\"18\"/>"
           "</flags>";
  if (feature == kSse)
    return "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>"
           "<vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
           "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/>"
           "<vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
           "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/>"
           "<vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"
           "<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/><field name=\"v2_double\" type=\"v2d\"/>"
           "<field name=\"v16_int8\" type=\"v16i8\"/><field name=\"v8_int16\" type=\"v8i16\"/>"
           "<field name=\"v4_int32\" type=\"v4i32\"/><field name=\"v2_int64\" type=\"v2i64\"/>"
           "<field name=\"uint128\" type=\"uint128\"/></union>"
           "<flags id=\"i386_mxcsr\" size=\"4\"><field name=\"IE\" start=\"0\" end=\"0\"/></flags>";
  return "";
}

std::string make_description() {
  std::string xml =
      "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target version=\"1.0\">"
      "<architecture>i386:x86-64</architecture>";
  const char* open = nullptr;
  size_t number = 0;
  for (const Register& r : table()) {
    if (r.feature != open) {
      if (open) xml += "</feature>";
      open = r.feature;
      xml += std::string("<feature name=\"") + open + "\">" + feature_types(open);
    }
    xml += "<reg name=\"" + r.name + "\" bitsize=\"" + std::to_string(r.bytes * 8) + "\" type=\"" + r.type +
           "\" regnum=\"" + std::to_string(number++) + "\"";
    if (r.group) xml += std::string(" group=\"") + r.group + "\"";
    xml += "/>";
  }
  return xml + "</feature></target>";
}

}  // namespace

size_t register_count() { return table().size(); }

std::optional<std::string> register_hex(const Registers& registers, uint64_t number) {
  if (number >= table().size()) return std::nullopt;
  const Register& r = table()[number];
  const std::string value = value_of(registers, r);
  return value.empty() ? std::string(r.bytes * 2, 'x') : to_hex(value);
}

bool set_register(Registers& registers, uint64_t number, std::string_view bytes) {
  if (number >= table().size() || table()[number].bytes != bytes.size()) return false;
  return set_value(registers, table()[number], bytes);
}

std::string all_registers_hex(const Registers& registers) {
  std::string out;
  for (size_t i = 0; i < table().size(); ++i) out += *register_hex(registers, i);
  return out;
}

bool set_all_registers(Registers& registers, std::string_view bytes) {
  Registers changed = registers;
  for (const Register& r : table()) {
    if (bytes.empty()) break;
    if (bytes.size() < r.bytes) return false;
    // GDB sends zeros for what it does not know: there is nothing to change then.
    set_value(changed, r, bytes.substr(0, r.bytes));
    bytes.remove_prefix(r.bytes);
  }
  if (!bytes.empty()) return false;
  registers = std::move(changed);
  return true;
}

const std::string& target_description() {
  static const std::string xml = make_description();
  return xml;
}

}  // namespace pando::gdb

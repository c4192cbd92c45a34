// SPDX-License-Identifier: Apache-2.0
// The guest's kernel image as debuggers see it: its symbols, and the note that tells where tasks keep their page
// tables (guest_abi/debug.h).
#pragma once

#include <guest_abi/debug.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pando::observe {

class KernelImage {
 public:
  // Reads an ELF file.  Throws UserError if it is none.
  static KernelImage read(const std::string& path);

  struct Place {
    std::string symbol;
    uint64_t offset = 0;  // bytes behind its start
    uint64_t bytes = 0;   // size of the symbol, 0 = not known
    bool code = false;
  };
  // The symbol that covers the address; nullopt outside the image.
  std::optional<Place> find(uint64_t address) const;
  // "schedule+0x12", or the bare number.
  std::string describe(uint64_t address) const;
  // Address of a symbol.
  std::optional<uint64_t> address_of(const std::string& symbol) const;

  const std::optional<pando_debug_info>& debug_info() const { return debug_info_; }
  const std::string& path() const { return path_; }

 private:
  struct Symbol {
    uint64_t address;
    uint64_t bytes;
    std::string name;
    bool code;
  };
  std::string path_;
  std::vector<Symbol> symbols_;  // ascending by address
  uint64_t end_ = 0;
  std::optional<pando_debug_info> debug_info_;
};

}  // namespace pando::observe

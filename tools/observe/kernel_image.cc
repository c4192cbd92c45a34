// SPDX-License-Identifier: Apache-2.0
#include "tools/observe/kernel_image.h"

#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "base/unique_fd.h"

namespace pando::observe {

namespace {

struct ElfEnd {
  void operator()(Elf* elf) const { elf_end(elf); }
};
using ElfPtr = std::unique_ptr<Elf, ElfEnd>;

constexpr uint64_t kLastSymbolBytes = 4096;  // when its size is not known

// Sections that symbols of interest lie in are those that are loaded.
bool is_loaded(Elf* elf, size_t index) {
  Elf_Scn* section = elf_getscn(elf, index);
  GElf_Shdr header;
  return section && gelf_getshdr(section, &header) && (header.sh_flags & SHF_ALLOC);
}

bool is_code(Elf* elf, size_t index) {
  Elf_Scn* section = elf_getscn(elf, index);
  GElf_Shdr header;
  return section && gelf_getshdr(section, &header) && (header.sh_flags & SHF_EXECINSTR);
}

std::optional<pando_debug_info> find_note(Elf_Data* data) {
  size_t offset = 0, name_at = 0, desc_at = 0;
  GElf_Nhdr note;
  while ((offset = gelf_getnote(data, offset, &note, &name_at, &desc_at)) > 0) {
    const char* base = static_cast<const char*>(data->d_buf);
    pando_debug_info info;
    if (note.n_type != PANDO_DEBUG_NOTE_TYPE || note.n_descsz != sizeof info ||
        note.n_namesz != sizeof PANDO_DEBUG_NOTE_OWNER ||
        std::memcmp(base + name_at, PANDO_DEBUG_NOTE_OWNER, note.n_namesz) != 0)
      continue;
    std::memcpy(&info, base + desc_at, sizeof info);
    if (info.version == PANDO_DEBUG_VERSION && info.size == sizeof info) return info;
  }
  return std::nullopt;
}

}  // namespace

KernelImage KernelImage::read(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) throw UserError("cannot open the kernel image " + path + ": " + std::strerror(errno));
  elf_version(EV_CURRENT);
  const ElfPtr elf(elf_begin(fd.get(), ELF_C_READ, nullptr));
  if (!elf || elf_kind(elf.get()) != ELF_K_ELF) throw UserError(path + " is no kernel image: not an ELF file");
  KernelImage image;
  image.path_ = path;
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf.get(), section)) != nullptr;) {
    GElf_Shdr header;
    if (!gelf_getshdr(section, &header)) continue;
    Elf_Data* data = header.sh_type == SHT_SYMTAB || header.sh_type == SHT_NOTE ? elf_getdata(section, nullptr) : nullptr;
    if (!data) continue;
    if (header.sh_type == SHT_NOTE && !image.debug_info_) image.debug_info_ = find_note(data);
    if (header.sh_type != SHT_SYMTAB || header.sh_entsize == 0) continue;
    for (size_t i = 0; i < header.sh_size / header.sh_entsize; ++i) {
      GElf_Sym symbol;
      if (!gelf_getsym(data, static_cast<int>(i), &symbol) || symbol.st_shndx >= SHN_LORESERVE) continue;
      const int type = GELF_ST_TYPE(symbol.st_info);
      const char* name = elf_strptr(elf.get(), header.sh_link, symbol.st_name);
      if (!name || !*name || type == STT_SECTION || type == STT_FILE || !is_loaded(elf.get(), symbol.st_shndx)) continue;
      image.symbols_.push_back({symbol.st_value, symbol.st_size, name, is_code(elf.get(), symbol.st_shndx)});
    }
  }
  // At one address, the one with a size says most.
  std::stable_sort(image.symbols_.begin(), image.symbols_.end(), [](const Symbol& a, const Symbol& b) {
    return a.address != b.address ? a.address < b.address : a.bytes < b.bytes;
  });
  if (!image.symbols_.empty()) {
    const Symbol& last = image.symbols_.back();
    image.end_ = last.address + (last.bytes ? last.bytes : kLastSymbolBytes);
  }
  return image;
}

std::optional<KernelImage::Place> KernelImage::find(uint64_t address) const {
  if (address >= end_) return std::nullopt;
  auto after = std::upper_bound(symbols_.begin(), symbols_.end(), address,
                                [](uint64_t a, const Symbol& s) { return a < s.address; });
  if (after == symbols_.begin()) return std::nullopt;
  const Symbol& s = *std::prev(after);
  return Place{s.name, address - s.address, s.bytes, s.code};
}

std::string KernelImage::describe(uint64_t address) const {
  char number[24];
  const auto place = find(address);
  std::snprintf(number, sizeof number, "0x%llx", static_cast<unsigned long long>(place ? place->offset : address));
  if (!place) return number;
  return place->offset == 0 ? place->symbol : place->symbol + "+" + number;
}

std::optional<uint64_t> KernelImage::address_of(const std::string& symbol) const {
  for (const Symbol& s : symbols_)
    if (s.name == symbol) return s.address;
  return std::nullopt;
}

}  // namespace pando::observe

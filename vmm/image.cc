// SPDX-License-Identifier: Apache-2.0
#include "vmm/image.h"

#include <elf.h>
#include <guest_abi/layout.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/error.h"

namespace pando::vmm {

namespace {

constexpr uint64_t kImageBytesMax = uint64_t{1} << 30;
constexpr uint64_t kInitrdBytesMax = uint64_t{4} << 30;
constexpr char kNoteName[] = "Pando";
constexpr uint32_t kNoteAbiVersion = 1;  // type of the note whose descriptor is the ABI version, u32

uint64_t file_bytes(int fd, const std::string& name, uint64_t bytes_max) {
  struct stat info {};
  check_errno(fstat(fd, &info), "fstat");
  if (static_cast<uint64_t>(info.st_size) > bytes_max)
    throw UserError(name + " has " + std::to_string(info.st_size) + " bytes; at most " +
                    std::to_string(bytes_max) + " are accepted");
  return static_cast<uint64_t>(info.st_size);
}

void read_file(int fd, const std::string& name, std::span<uint8_t> data) {
  size_t have = 0;
  while (have < data.size()) {
    const ssize_t n = pread(fd, data.data() + have, data.size() - have, static_cast<off_t>(have));
    if (n < 0) throw HostError("reading " + name, errno);
    if (n == 0) throw UserError(name + " became shorter while it was read");
    have += static_cast<size_t>(n);
  }
}

constexpr uint64_t padded(uint64_t bytes) { return (bytes + 3) & ~uint64_t{3}; }

// A bounds-checked view of the file.
class ElfFile {
 public:
  ElfFile(std::span<const uint8_t> data, std::string name) : data_(data), name_(std::move(name)) {}

  [[noreturn]] void refuse(const std::string& why) const {
    throw UserError(name_ + ": " + why + "; give the vmlinux that tools/build makes in build/guest");
  }
  template <class T>
  T at(uint64_t offset) const {
    T value;
    const std::span<const uint8_t> bytes = slice(offset, sizeof value);
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
  std::span<const uint8_t> slice(uint64_t offset, uint64_t bytes) const {
    if (offset > data_.size() || bytes > data_.size() - offset) refuse("is truncated or corrupt");
    return data_.subspan(offset, bytes);
  }

 private:
  std::span<const uint8_t> data_;
  std::string name_;
};

Elf64_Ehdr checked_header(const ElfFile& file, size_t file_bytes) {
  if (file_bytes < sizeof(Elf64_Ehdr)) file.refuse("is not an ELF file");
  const auto header = file.at<Elf64_Ehdr>(0);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) file.refuse("is not an ELF file");
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64 ||
      header.e_type != ET_EXEC || header.e_phentsize != sizeof(Elf64_Phdr))
    file.refuse("is not a static x86-64 executable");
  return header;
}

std::optional<uint32_t> abi_version(const ElfFile& file, const Elf64_Phdr& notes) {
  uint64_t offset = 0;
  while (offset + sizeof(Elf64_Nhdr) <= notes.p_filesz) {
    const auto note = file.at<Elf64_Nhdr>(notes.p_offset + offset);
    const uint64_t name_at = notes.p_offset + offset + sizeof note;
    const uint64_t name_bytes = (uint64_t{note.n_namesz} + 3) & ~uint64_t{3};
    const uint64_t desc_bytes = (uint64_t{note.n_descsz} + 3) & ~uint64_t{3};
    if (note.n_type == kNoteAbiVersion && note.n_namesz == sizeof kNoteName && note.n_descsz == 4 &&
        std::memcmp(file.slice(name_at, sizeof kNoteName).data(), kNoteName, sizeof kNoteName) == 0)
      return file.at<uint32_t>(name_at + name_bytes);
    offset += sizeof note + name_bytes + desc_bytes;
  }
  return std::nullopt;
}

Image::Segment segment_of(const ElfFile& file, const Elf64_Phdr& header) {
  if (header.p_filesz > header.p_memsz || header.p_memsz > kImageBytesMax ||
      header.p_vaddr < PANDO_RAM_BASE + PANDO_KERNEL_GPA || header.p_vaddr & (kPageSize - 1) ||
      header.p_vaddr > PANDO_RAM_BASE + kImageBytesMax)
    file.refuse("is not linked for Pando's guest address layout");
  const std::span<const uint8_t> bytes = file.slice(header.p_offset, header.p_filesz);
  return {GuestPhys(header.p_vaddr - PANDO_RAM_BASE), bytes, header.p_memsz, (header.p_flags & PF_W) != 0};
}

}  // namespace

Image Image::read(int fd, const std::string& name) {
  const uint64_t bytes = file_bytes(fd, name, kImageBytesMax);
  Image image;
  if (bytes != 0) image.file_ = Mapping::populated(bytes);
  const std::span<uint8_t> data(image.file_.data(), bytes);
  read_file(fd, name, data);
  const ElfFile file(data, name);
  const Elf64_Ehdr header = checked_header(file, data.size());
  image.entry_ = header.e_entry;
  std::optional<uint32_t> version;
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    const auto program = file.at<Elf64_Phdr>(header.e_phoff + i * sizeof(Elf64_Phdr));
    if (program.p_type == PT_NOTE && !version) version = abi_version(file, program);
    if (program.p_type == PT_LOAD && program.p_memsz) image.segments_.push_back(segment_of(file, program));
  }
  if (image.segments_.empty()) file.refuse("has nothing to load");
  if (!version) file.refuse("is not a Pando guest kernel (no ABI note)");
  if (*version != PANDO_ABI_VERSION)
    file.refuse("speaks guest ABI version " + std::to_string(*version) + ", this VMM version " +
                std::to_string(PANDO_ABI_VERSION));
  const uint64_t entry = image.entry_ - PANDO_RAM_BASE;
  if (entry < PANDO_KERNEL_GPA || entry >= image.end().value()) file.refuse("has no valid entry point");
  return image;
}

GuestPhys Image::end() const {
  uint64_t end = 0;
  for (const Segment& segment : segments_) end = std::max(end, segment.start.value() + segment.memory_bytes);
  return GuestPhys(page_ceil(end));
}

Mapping read_initrds(const std::vector<UniqueFd>& fds) {
  std::vector<uint64_t> bytes;
  uint64_t total = 0;
  for (const UniqueFd& fd : fds) {
    bytes.push_back(file_bytes(fd.get(), "initrd", kInitrdBytesMax));
    total += padded(bytes.back());
  }
  if (total == 0) return {};
  Mapping all = Mapping::populated(total);
  uint8_t* at = all.data();
  for (size_t i = 0; i < fds.size(); ++i) {
    read_file(fds[i].get(), "initrd", {at, bytes[i]});
    at += padded(bytes[i]);
  }
  return all;
}

GuestPhys place_initrd(const dsm::ClusterLayout& layout, GuestPhys image_end, uint64_t bytes) {
  if (bytes == 0) return GuestPhys(0);
  const dsm::NodeRange& home = layout.nodes.front();
  const uint64_t home_end = home.start.value() + home.bytes;
  if (bytes > home_end || page_floor(home_end - bytes) < image_end.value())
    throw UserError("initrd: has " + std::to_string(bytes >> 20) +
                    " MiB and does not fit into the first node's memory of " +
                    std::to_string(home.bytes >> 20) + " MiB: raise `memory` of the first node");
  return GuestPhys(page_floor(home_end - bytes));
}

}  // namespace pando::vmm

// SPDX-License-Identifier: Apache-2.0
#include "vmm/image.h"

#include <elf.h>
#include <guest_abi/layout.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <functional>

#include "base/error.h"
#include "tests/catch.h"

using namespace pando;
using vmm::Image;

namespace {

struct Note {
  Elf64_Nhdr header{6, 4, 1};
  char name[8] = "Pando";
  uint32_t version = PANDO_ABI_VERSION;
};

// A small image that is right in every respect.
struct TestImage {
  Elf64_Ehdr header{};
  Elf64_Phdr load{};
  Elf64_Phdr notes{};
  Note note;
  uint8_t code[64] = {0x0f, 0x0b};

  TestImage() {
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_machine = EM_X86_64;
    header.e_type = ET_EXEC;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phoff = offsetof(TestImage, load);
    header.e_phnum = 2;
    header.e_entry = PANDO_RAM_BASE + PANDO_KERNEL_GPA;
    load.p_type = PT_LOAD;
    load.p_offset = offsetof(TestImage, code);
    load.p_filesz = sizeof code;
    load.p_memsz = 3 * kPageSize;
    load.p_vaddr = PANDO_RAM_BASE + PANDO_KERNEL_GPA;
    notes.p_type = PT_NOTE;
    notes.p_offset = offsetof(TestImage, note);
    notes.p_filesz = sizeof note;
  }
};

UniqueFd file_with(const void* data, size_t bytes) {
  UniqueFd fd(memfd_create("image", MFD_CLOEXEC));
  REQUIRE(write(fd.get(), data, bytes) == static_cast<ssize_t>(bytes));
  return fd;
}

std::string refusal(const std::function<void(TestImage&)>& spoil) {
  TestImage image;
  spoil(image);
  const UniqueFd fd = file_with(&image, sizeof image);
  try {
    Image::read(fd.get(), "vmlinux");
  } catch (const UserError& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("image: a right one: segments, entry and end are taken over") {
  const TestImage file;
  const UniqueFd fd = file_with(&file, sizeof file);
  const Image image = Image::read(fd.get(), "vmlinux");
  REQUIRE(image.segments().size() == 1);
  REQUIRE(image.segments()[0].start == GuestPhys(PANDO_KERNEL_GPA));
  REQUIRE(image.segments()[0].bytes.size() == sizeof file.code);
  REQUIRE(image.entry() == PANDO_RAM_BASE + PANDO_KERNEL_GPA);
  REQUIRE(image.end() == GuestPhys(PANDO_KERNEL_GPA + 3 * kPageSize));
}

TEST_CASE("image: a segment: says whether the guest writes to it") {
  TestImage file;
  for (const bool writable : {false, true}) {
    file.load.p_flags = PF_R | PF_X | (writable ? PF_W : 0);
    const UniqueFd fd = file_with(&file, sizeof file);
    REQUIRE(Image::read(fd.get(), "vmlinux").segments()[0].writable == writable);
  }
}

TEST_CASE("image: bad files: each is refused in words that name the file and the remedy") {
  using Catch::Matchers::ContainsSubstring;
  REQUIRE_THAT(refusal([](TestImage& i) { i.header.e_ident[0] = 'X'; }), ContainsSubstring("vmlinux: is not an ELF"));
  REQUIRE_THAT(refusal([](TestImage& i) { i.header.e_machine = EM_AARCH64; }), ContainsSubstring("not a static x86-64"));
  REQUIRE_THAT(refusal([](TestImage& i) { i.header.e_type = ET_DYN; }), ContainsSubstring("not a static x86-64"));
  REQUIRE_THAT(refusal([](TestImage& i) { i.header.e_phoff = ~0ull - 8; }), ContainsSubstring("truncated or corrupt"));
  REQUIRE_THAT(refusal([](TestImage& i) { i.load.p_filesz = 1 << 20; i.load.p_memsz = 1 << 20; }),
               ContainsSubstring("truncated or corrupt"));
  REQUIRE_THAT(refusal([](TestImage& i) { i.load.p_memsz = 1; }), ContainsSubstring("not linked for Pando"));
  REQUIRE_THAT(refusal([](TestImage& i) { i.load.p_vaddr = 0x400000; }), ContainsSubstring("not linked for Pando"));
  REQUIRE_THAT(refusal([](TestImage& i) { i.load.p_type = PT_NULL; }), ContainsSubstring("nothing to load"));
  REQUIRE_THAT(refusal([](TestImage& i) { i.note.header.n_type = 7; }), ContainsSubstring("no ABI note"));
  REQUIRE_THAT(refusal([](TestImage& i) { i.note.version = 99; }), ContainsSubstring("guest ABI version 99"));
  REQUIRE_THAT(refusal([](TestImage& i) { i.header.e_entry = 0; }), ContainsSubstring("no valid entry point"));
  REQUIRE_THAT(refusal([](TestImage& i) { i.note.header.n_namesz = ~0u; }), ContainsSubstring("no ABI note"));
  REQUIRE_THAT(refusal([](TestImage&) {}), ContainsSubstring("accepted"));
}

TEST_CASE("image: an empty file: refused") {
  const UniqueFd fd = file_with("", 0);
  REQUIRE_THROWS_AS(Image::read(fd.get(), "vmlinux"), UserError);
}

TEST_CASE("image: every truncation: refused or read, never a crash") {
  const TestImage file;
  for (size_t bytes = 0; bytes < sizeof file; ++bytes) {
    const UniqueFd fd = file_with(&file, bytes);
    REQUIRE_THROWS_AS(Image::read(fd.get(), "vmlinux"), UserError);
  }
}

TEST_CASE("initrds: several: each is padded to four bytes") {
  std::vector<UniqueFd> fds;
  fds.push_back(file_with("abcde", 5));
  fds.push_back(file_with("fg", 2));
  const Mapping initrds = vmm::read_initrds(fds);
  const std::span<const uint8_t> all(initrds.data(), initrds.size());
  REQUIRE(all.size() == 12);
  REQUIRE(all[4] == 'e');
  REQUIRE(all[5] == 0);
  REQUIRE(all[8] == 'f');
}

TEST_CASE("initrd: larger than the first node: refused with the remedy") {
  dsm::ClusterLayout layout;
  layout.nodes = {{GuestPhys(0), 16 << 20}, {GuestPhys(16 << 20), 64 << 20}};
  REQUIRE(vmm::place_initrd(layout, GuestPhys(8 << 20), 4 << 20) == GuestPhys(12 << 20));
  REQUIRE(vmm::place_initrd(layout, GuestPhys(8 << 20), 0) == GuestPhys(0));
  REQUIRE_THROWS_AS(vmm::place_initrd(layout, GuestPhys(8 << 20), 9 << 20), UserError);
  REQUIRE_THROWS_AS(vmm::place_initrd(layout, GuestPhys(8 << 20), 32 << 20), UserError);
}

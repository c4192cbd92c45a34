// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/guest_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"

namespace pando::dsm {

namespace {

off_t offset_of(PageId page) { return static_cast<off_t>(address_of(page).value()); }

void check_whole(long result, const char* what) {
  if (check_errno(result, what) != static_cast<long>(kPageSize)) throw HostError(what, EIO);
}

}  // namespace

GuestMemory::GuestMemory(uint64_t bytes) : bytes_(bytes) {
  fd_.reset(static_cast<int>(check_errno(memfd_create("pando-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING),
                                         "memfd_create for guest RAM")));
  check_errno(ftruncate(fd_.get(), static_cast<off_t>(bytes)), "ftruncate of guest RAM");
  check_errno(fcntl(fd_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), "sealing guest RAM");
  int ends[2];
  check_errno(pipe2(ends, O_CLOEXEC), "pipe for pages");
  pipe_ = {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void GuestMemory::read(PageId page, uint8_t* to) const {
  check_whole(pread(fd_.get(), to, kPageSize, offset_of(page)), "reading a page of guest RAM");
}

void GuestMemory::write(PageId page, const uint8_t* from) const {
  check_whole(pwrite(fd_.get(), from, kPageSize, offset_of(page)), "writing a page of guest RAM");
}

void GuestMemory::discard(PageId page) const {
  check_errno(fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset_of(page), kPageSize),
              "punching a page out of guest RAM");
}

void GuestMemory::take(PageId page, uint8_t* to) {
  const std::lock_guard guard(pipe_mutex_);
  loff_t offset = offset_of(page);
  check_whole(splice(fd_.get(), &offset, pipe_.write_end.get(), nullptr, kPageSize, 0), "splicing a page");
  discard(page);
  check_whole(::read(pipe_.read_end.get(), to, kPageSize), "reading a spliced page");
}

}  // namespace pando::dsm

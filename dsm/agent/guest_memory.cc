// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/guest_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"

namespace pando::dsm {

namespace {

off_t offset_of(PageId page) { return static_cast<off_t>(address_of(page).value()); }

size_t bytes_of(uint32_t pages) { return size_t{pages} << kPageShift; }

constexpr int kPipeBytes = 256 << 10;  // what a user may have without privilege is 1 MiB

// One call of read, write or splice may move less than was asked for: `move(done)` moves the rest.
template <class Move>
void move_all(size_t bytes, const char* what, Move move) {
  for (size_t done = 0; done < bytes;) {
    const auto n = check_errno(move(done), what);
    if (n == 0) throw HostError(what, EIO);
    done += static_cast<size_t>(n);
  }
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
  (void)fcntl(ends[1], F_SETPIPE_SZ, kPipeBytes);  // refused: smaller chunks
  pipe_pages_ = static_cast<uint32_t>(check_errno(fcntl(ends[1], F_GETPIPE_SZ), "F_GETPIPE_SZ") >> kPageShift);
}

void GuestMemory::read(PageId first, uint32_t count, uint8_t* to) const {
  move_all(bytes_of(count), "reading guest RAM", [&](size_t done) {
    return pread(fd_.get(), to + done, bytes_of(count) - done, offset_of(first) + static_cast<off_t>(done));
  });
}

void GuestMemory::write(PageId first, uint32_t count, const uint8_t* from) const {
  move_all(bytes_of(count), "writing guest RAM", [&](size_t done) {
    return pwrite(fd_.get(), from + done, bytes_of(count) - done, offset_of(first) + static_cast<off_t>(done));
  });
}

void GuestMemory::discard(PageId first, uint32_t count) const {
  check_errno(fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset_of(first),
                        static_cast<off_t>(bytes_of(count))),
              "punching pages out of guest RAM");
}

void GuestMemory::take(PageId first, uint32_t count, uint8_t* to) {
  const std::lock_guard guard(pipe_mutex_);
  for (uint32_t done = 0; done < count; done += pipe_pages_)
    take_chunk(PageId(first.value() + done), std::min(count - done, pipe_pages_), to + bytes_of(done));
}

void GuestMemory::take_chunk(PageId first, uint32_t count, uint8_t* to) {
  move_all(bytes_of(count), "splicing guest RAM", [&](size_t done) {
    loff_t offset = offset_of(first) + static_cast<off_t>(done);
    return splice(fd_.get(), &offset, pipe_.write_end.get(), nullptr, bytes_of(count) - done, 0);
  });
  discard(first, count);
  move_all(bytes_of(count), "reading spliced pages", [&](size_t done) {
    return ::read(pipe_.read_end.get(), to + done, bytes_of(count) - done);
  });
}

}  // namespace pando::dsm

// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "base/error.h"
#include "dsm/client/node_client.h"

// Newer than Debian 12's headers; values from the kernel's include/uapi/linux/userfaultfd.h.
#ifndef UFFD_FEATURE_WP_HUGETLBFS_SHMEM
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM (1 << 12)
#endif
#ifndef UFFDIO_CONTINUE_MODE_WP
#define UFFDIO_CONTINUE_MODE_WP (uint64_t{1} << 1)
#endif

namespace pando::dsm {

namespace {

constexpr uint64_t kFeatures = UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_MINOR_SHMEM |
                               UFFD_FEATURE_WP_HUGETLBFS_SHMEM | UFFD_FEATURE_SIGBUS;
static_assert(UFFD_FEATURE_MINOR_SHMEM == 1 << 10 && UFFD_FEATURE_WP_HUGETLBFS_SHMEM == 1 << 12);

}  // namespace

Uffd Uffd::open_here() {
  // Faults of system calls on guest memory get EFAULT with UFFD_FEATURE_SIGBUS anyhow, so user mode is all we need and
  // no privilege is.
  const long fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
  if (fd < 0)
    throw UserError(std::string("this host refuses userfaultfd (") + HostError("userfaultfd", errno).what() +
                    "); Pando needs Linux 6.4 or newer and, in a container, a seccomp profile that allows it");
  Uffd uffd = adopt(UniqueFd(static_cast<int>(fd)));
  uffd.own_mm_ = true;
  return uffd;
}

Uffd Uffd::adopt(UniqueFd fd) {
  uffdio_api api{};
  api.api = UFFD_API;
  api.features = kFeatures;
  if (ioctl(fd.get(), UFFDIO_API, &api) != 0)
    throw UserError(std::string("this host's userfaultfd lacks minor or write-protect faults on shared memory (") +
                    HostError("UFFDIO_API", errno).what() + "); Pando needs Linux 6.4 or newer");
  return Uffd(std::move(fd), false);
}

void Uffd::register_range(uint64_t address, uint64_t bytes) const {
  uffdio_register r{};
  r.range = {address, bytes};
  r.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR | UFFDIO_REGISTER_MODE_WP;
  check_errno(ioctl(fd_.get(), UFFDIO_REGISTER, &r), "UFFDIO_REGISTER");
}

Uffd::Continue Uffd::continue_pages(uint64_t address, uint64_t bytes, Protection protection) const {
  uffdio_continue c{};
  c.range = {address, bytes};
  c.mode = protection == Protection::WriteProtected ? UFFDIO_CONTINUE_MODE_WP : 0;
  if (ioctl(fd_.get(), UFFDIO_CONTINUE, &c) == 0) return Continue::Installed;
  switch (errno) {
    case EEXIST: return Continue::AlreadyMapped;
    case EFAULT: return Continue::Hole;
    case EAGAIN: return Continue::Retry;
    case ENOENT:
    case ESRCH:
    case EINVAL: return Continue::Gone;
    default: throw HostError("UFFDIO_CONTINUE", errno);
  }
}

void Uffd::write_protect(uint64_t address, uint64_t bytes, Protection protection) const {
  uffdio_writeprotect w{};
  w.range = {address, bytes};
  w.mode = protection == Protection::WriteProtected ? UFFDIO_WRITEPROTECT_MODE_WP : 0;
  int result = 0;
  do {
    result = ioctl(fd_.get(), UFFDIO_WRITEPROTECT, &w);
  } while (result != 0 && errno == EAGAIN);
  // ENOENT, ESRCH: the mapping is gone meanwhile, and its PTEs with it.
  if (result != 0 && errno != ENOENT && errno != ESRCH) throw HostError("UFFDIO_WRITEPROTECT", errno);
}

}  // namespace pando::dsm

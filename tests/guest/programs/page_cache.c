// SPDX-License-Identifier: Apache-2.0
/* 16 MiB of file written by one process is read back by processes on all CPUs, by read and by
 * mapping. */
#include <fcntl.h>

#include "guest_test.h"

enum { kWords = 4 << 20 };
static int fd;

static void body(int index) {
  static uint32_t data[4096];
  const uint32_t* const mapped = mmap(NULL, kWords * 4ul, PROT_READ, MAP_PRIVATE, fd, 0);
  CHECK(mapped != MAP_FAILED);
  for (uint32_t at = 0; at < kWords; at += 4096) {
    CHECK(pread(fd, data, sizeof data, at * 4l) == sizeof data);
    for (uint32_t i = 0; i < 4096; i += 37) {
      CHECK_EQ(data[i], (at + i) * 2654435761u);
      CHECK_EQ(mapped[at + i], (at + i) * 2654435761u);
    }
  }
}

int main(int argc, char** argv) {
  static uint32_t data[4096];
  char name[] = "/tmp/page_cache.XXXXXX";
  gt_begin(argc, argv);
  fd = mkstemp(name);
  CHECK(fd >= 0 && unlink(name) == 0);
  for (uint32_t at = 0; at < kWords; at += 4096) {
    for (uint32_t i = 0; i < 4096; i++) data[i] = (at + i) * 2654435761u;
    CHECK(write(fd, data, sizeof data) == sizeof data);
  }
  gt_processes(gt_cpus(), body);
  CHECK(ftruncate(fd, 0) == 0);
  CHECK_EQ(pread(fd, data, 4, 0), 0);
  return gt_ok();
}

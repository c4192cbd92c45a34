// SPDX-License-Identifier: Apache-2.0
/* Files on tmpfs: sizes, holes, rename, links, directories, times, truncation, locks between
 * processes. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "guest_test.h"

static int entries(const char* path) {
  int count = 0;
  DIR* const folder = opendir(path);
  CHECK(folder);
  while (readdir(folder)) count++;
  closedir(folder);
  return count;
}

int main(int argc, char** argv) {
  char folder[] = "/tmp/file_system.XXXXXX", text[16] = "";
  struct stat status;
  gt_begin(argc, argv);
  CHECK(mkdtemp(folder) && chdir(folder) == 0);
  const int fd = open("a", O_CREAT | O_EXCL | O_RDWR, 0640);
  CHECK(fd >= 0 && open("a", O_CREAT | O_EXCL | O_RDWR, 0640) == -1 && errno == EEXIST);
  CHECK(pwrite(fd, "end", 3, 1 << 20) == 3 && fstat(fd, &status) == 0);
  CHECK(status.st_size == (1 << 20) + 3 && status.st_blocks * 512 < 1 << 19 &&
        (status.st_mode & 0777) == 0640);
  CHECK(pread(fd, text, 3, 5000) == 3 && text[0] == 0);
  CHECK(link("a", "b") == 0 && symlink("b", "c") == 0 && rename("a", "d") == 0);
  CHECK(stat("c", &status) == 0 && status.st_nlink == 2);
  CHECK(readlink("c", text, sizeof text) == 1 && text[0] == 'b');
  CHECK(mkdir("sub", 0755) == 0 && rmdir("..") == -1 && rename("d", "sub/e") == 0);
  CHECK_EQ(entries("."), 5);
  CHECK(rmdir("sub") == -1 && errno == ENOTEMPTY);
  CHECK(flock(fd, LOCK_EX) == 0);
  const pid_t child = gt_fork();
  if (child == 0) {
    const int other = open("b", O_RDWR);
    _exit(other >= 0 && flock(other, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK ? 0 : 1);
  }
  gt_wait_exit(child, 0);
  CHECK(ftruncate(fd, 10) == 0 && lseek(fd, 0, SEEK_END) == 10);
  CHECK(unlink("b") == 0 && unlink("c") == 0 && unlink("sub/e") == 0 && rmdir("sub") == 0);
  CHECK(fstat(fd, &status) == 0 && status.st_nlink == 0);
  CHECK(chdir("/") == 0 && rmdir(folder) == 0);
  return gt_ok();
}

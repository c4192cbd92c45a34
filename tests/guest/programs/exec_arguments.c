// SPDX-License-Identifier: Apache-2.0
/* 100 KiB of arguments and environment survive execve byte for byte. */
#include "guest_test.h"

enum { kWords = 100, kLength = 512 };

static void fill(char* word, int index) {
  for (int i = 0; i < kLength; i++) word[i] = (char)('a' + (index * 7 + i * 3) % 26);
  word[kLength] = 0;
}

static void expect(const char* word, int index) {
  char wanted[kLength + 1];
  fill(wanted, index);
  CHECK(word && strcmp(word, wanted) == 0);
}

int main(int argc, char** argv) {
  static char words[2 * kWords][kLength + 1];
  static char* arguments[kWords + 3] = {"exec_arguments", "--child"};
  static char* environment[kWords + 1];
  extern char** environ;
  gt_begin(argc, argv);
  if (gt_argc > 0) {
    CHECK_EQ(gt_argc, kWords + 1);
    for (int i = 0; i < kWords; i++) expect(gt_argv[1 + i], i);
    for (int i = 0; i < kWords; i++) expect(environ[i], kWords + i);
    CHECK(environ[kWords] == NULL);
    return 0;
  }
  for (int i = 0; i < 2 * kWords; i++) fill(words[i], i);
  for (int i = 0; i < kWords; i++) {
    arguments[2 + i] = words[i];
    environment[i] = words[kWords + i];
  }
  const pid_t child = gt_fork();
  if (child == 0) {
    execve("/proc/self/exe", arguments, environment);
    _exit(126);
  }
  gt_wait_exit(child, 0);
  return gt_ok();
}

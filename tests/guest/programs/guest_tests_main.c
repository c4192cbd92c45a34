// SPDX-License-Identifier: Apache-2.0
/*
 * guest-tests: all test programs in one static executable, like busybox: a link named after a test
 * runs that test.
 *
 *   guest-tests --list                              names of the programs
 *   guest-tests [--cpus L] [--timeout S] [NAME...]  runs the named (default: all) tests one after
 * the other, each in its own session with a time limit, and prints a summary Exit status: 0 when
 * nothing failed, 1 when a test failed, 2 for a bad command line.
 */
#include "guest_test.h"

struct program {
  const char* name;
  int (*main)(int argc, char** argv);
};
#define PROGRAM(name) int test_main_##name(int argc, char** argv);
#include "programs.def"
#undef PROGRAM
#define PROGRAM(name) {#name, test_main_##name},
static const struct program programs[] = {
#include "programs.def"
};
enum { kPrograms = sizeof programs / sizeof programs[0] };

static const struct program* find(const char* name) {
  for (int i = 0; i < kPrograms; i++)
    if (strcmp(programs[i].name, name) == 0) return &programs[i];
  return NULL;
}

/* Starts the test as its link would be started; `self` is this executable. */
static pid_t start(const char* self, const struct program* program) {
  const pid_t pid = fork();

  if (pid == 0) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    execl(self, program->name, (char*)NULL);
    perror("exec");
    _exit(126);
  }
  return pid;
}

/* The wait status of `pid`, which leads a session; -1 when it was killed because time ran out. */
static int wait_limited(pid_t pid, int seconds) {
  const uint64_t deadline = gt_now_ns() + (uint64_t)seconds * 1000000000u;
  sigset_t child;
  int status;

  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  for (;;) {
    const pid_t got = waitpid(pid, &status, WNOHANG);
    const uint64_t now = gt_now_ns();
    if (got == pid || now >= deadline) {
      kill(-pid, SIGKILL); /* stragglers of the session */
      if (got == pid) return status;
      waitpid(pid, &status, 0);
      return -1;
    }
    const struct timespec left = {(time_t)((deadline - now) / 1000000000u),
                                  (long)((deadline - now) % 1000000000u)};
    sigtimedwait(&child, NULL, &left);
  }
}

/* Returns 0 passed, 1 failed, GT_SKIP skipped. */
static int run_one(const char* self, const struct program* program, int seconds) {
  const uint64_t begin = gt_now_ns();
  const pid_t pid = start(self, program);
  const int status = pid < 0 ? -2 : wait_limited(pid, seconds);
  const unsigned ms = (unsigned)((gt_now_ns() - begin) / 1000000u);

  if (status == -1)
    printf("FAIL %s: no result after %d s\n", program->name, seconds);
  else if (WIFSIGNALED(status))
    printf("FAIL %s: killed by signal %d after %u ms\n", program->name, WTERMSIG(status), ms);
  else if (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != GT_SKIP)
    printf("FAIL %s: exit code %d after %u ms\n", program->name, WEXITSTATUS(status), ms);
  else
    return WEXITSTATUS(status);
  return 1;
}

static int run_all(const char* self, char** names, int count, int seconds) {
  int passed = 0, failed = 0, skipped = 0;
  sigset_t child;

  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, NULL);
  for (int i = 0; i < (count ? count : kPrograms); i++) {
    const struct program* const program = count ? find(names[i]) : &programs[i];
    if (!program) {
      printf("FAIL %s: there is no such test\n", names[i]);
      failed++;
      continue;
    }
    const int result = run_one(self, program, seconds);
    passed += result == 0;
    skipped += result == GT_SKIP;
    failed += result == 1;
  }
  printf("guest-tests: %d passed, %d failed, %d skipped\n", passed, failed, skipped);
  return failed ? 1 : 0;
}

int main(int argc, char** argv) {
  const char* const slash = strrchr(argv[0], '/');
  const struct program* const program = find(slash ? slash + 1 : argv[0]);
  int seconds = 60, at = 1;

  if (program) return program->main(argc, argv);
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (argc == 2 && strcmp(argv[1], "--list") == 0) {
    for (int i = 0; i < kPrograms; i++) puts(programs[i].name);
    return 0;
  }
  for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
    if (strcmp(argv[at], "--cpus") == 0)
      setenv("PANDO_TEST_CPUS", argv[at + 1], 1);
    else if (strcmp(argv[at], "--timeout") == 0)
      seconds = atoi(argv[at + 1]);
    else
      return fprintf(stderr, "guest-tests: unknown option %s\n", argv[at]), 2;
  }
  return run_all("/proc/self/exe", argv + at, argc - at, seconds > 0 ? seconds : 60);
}

// SPDX-License-Identifier: Apache-2.0
#include "guest_test.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>

int gt_argc;
char** gt_argv;
static const char* test_name = "?";
static int cpu_list[GT_CPUS_MAX];
static int cpu_count;

static void add_cpu(int cpu) {
  if (cpu_count < GT_CPUS_MAX) cpu_list[cpu_count++] = cpu;
}

static void parse_cpus(const char* text) {
  while (*text) {
    char* end;
    const long cpu = strtol(text, &end, 10);
    if (end == text || cpu < 0) gt_fail(__FILE__, __LINE__, "bad CPU list '%s'", text);
    add_cpu((int)cpu);
    text = *end == ',' ? end + 1 : end;
  }
}

static void all_cpus(void) {
  cpu_set_t set;

  CHECK(sched_getaffinity(0, sizeof set, &set) == 0);
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
    if (CPU_ISSET(cpu, &set)) add_cpu(cpu);
}

void gt_begin(int argc, char** argv) {
  const char* const slash = strrchr(argv[0], '/');
  const char* cpus = getenv("PANDO_TEST_CPUS");

  test_name = slash ? slash + 1 : argv[0];
  if (argc > 2 && strcmp(argv[1], "--cpus") == 0) {
    cpus = argv[2];
    argc -= 2;
    argv += 2;
  }
  gt_argc = argc - 1;
  gt_argv = argv + 1;
  cpu_count = 0;
  if (cpus && *cpus)
    parse_cpus(cpus);
  else
    all_cpus();
  setvbuf(stdout, NULL, _IOLBF, 0);
}

int gt_ok(void) {
  printf("ok %s\n", test_name);
  return 0;
}

void gt_skip(const char* reason) {
  printf("skip %s: %s\n", test_name, reason);
  exit(GT_SKIP);
}

void gt_fail(const char* file, int line, const char* format, ...) {
  char text[256];
  va_list arguments;

  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  dprintf(STDOUT_FILENO, "FAIL %s: %s:%d: %s\n", test_name, file, line, text);
  _exit(1);
}

int gt_cpus(void) {
  return cpu_count;
}

int gt_cpu(int index) {
  return cpu_list[index % cpu_count];
}

void gt_pin(int index) {
  cpu_set_t set;

  CPU_ZERO(&set);
  CPU_SET(gt_cpu(index), &set);
  CHECK(sched_setaffinity(0, sizeof set, &set) == 0);
}

void gt_need_cpus(int n) {
  if (cpu_count < n) gt_skip("needs more CPUs");
}

uint64_t gt_now_ns(void) {
  struct timespec now;

  CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct start {
  void (*body)(int);
  int index;
};

static void* thread_main(void* argument) {
  const struct start* const start = argument;

  gt_pin(start->index);
  start->body(start->index);
  return NULL;
}

void gt_threads(int n, void (*body)(int index)) {
  pthread_t thread[GT_CPUS_MAX];
  struct start start[GT_CPUS_MAX];

  CHECK(n <= GT_CPUS_MAX);
  for (int i = 0; i < n; i++) {
    start[i] = (struct start){body, i};
    CHECK(pthread_create(&thread[i], NULL, thread_main, &start[i]) == 0);
  }
  for (int i = 0; i < n; i++) CHECK(pthread_join(thread[i], NULL) == 0);
}

void gt_processes(int n, void (*body)(int index)) {
  pid_t child[GT_CPUS_MAX];

  CHECK(n <= GT_CPUS_MAX);
  for (int i = 0; i < n; i++) {
    child[i] = gt_fork();
    if (child[i] != 0) continue;
    gt_pin(i);
    body(i);
    _exit(0);
  }
  for (int i = 0; i < n; i++) gt_wait_exit(child[i], 0);
}

pid_t gt_fork(void) {
  fflush(stdout);
  const pid_t pid = fork();
  CHECK(pid >= 0);
  return pid;
}

int gt_wait(pid_t pid) {
  int status;
  pid_t got;

  do got = waitpid(pid, &status, 0);
  while (got < 0 && errno == EINTR);
  CHECK_EQ(got, pid);
  return status;
}

void gt_wait_exit(pid_t pid, int code) {
  const int status = gt_wait(pid);

  if (!WIFEXITED(status) || WEXITSTATUS(status) != code)
    gt_fail(__FILE__, __LINE__, "child %d: wait status %#x, wanted exit code %d", pid, status,
            code);
}

void gt_wait_signal(pid_t pid, int signal_number) {
  const int status = gt_wait(pid);

  if (!WIFSIGNALED(status) || WTERMSIG(status) != signal_number)
    gt_fail(__FILE__, __LINE__, "child %d: wait status %#x, wanted signal %d", pid, status,
            signal_number);
}

static int attack(void (*body)(uint64_t seed), uint64_t seed, int loop_ms) {
  static const struct rlimit no_core = {0, 0};
  uint64_t* const memory = gt_map(GT_PAGE);

  memory[0] = ~seed;
  const pid_t child = gt_fork();
  if (child == 0) {
    setrlimit(RLIMIT_CORE, &no_core);
    body(seed);
    _exit(0);
  }
  struct pollfd ended = {.fd = (int)syscall(SYS_pidfd_open, child, 0), .events = POLLIN};
  CHECK(ended.fd >= 0);
  if (loop_ms != 0 && poll(&ended, 1, loop_ms) == 0) CHECK(kill(child, SIGKILL) == 0);
  if (poll(&ended, 1, 20000) != 1)
    gt_fail(__FILE__, __LINE__, "attack %llx hangs", (unsigned long long)seed);
  close(ended.fd);
  const int status = gt_wait(child);
  const pid_t fresh = gt_fork();
  if (fresh == 0) _exit(memory[0] == ~seed && getppid() > 0 ? 11 : 1);
  gt_wait_exit(fresh, 11);
  CHECK_EQ(memory[0], ~seed);
  CHECK(munmap(memory, GT_PAGE) == 0);
  return status;
}

int gt_attack(void (*body)(uint64_t seed), uint64_t seed) { return attack(body, seed, 0); }

int gt_attack_may_loop(void (*body)(uint64_t seed), uint64_t seed) {
  return attack(body, seed, 3000);
}

static void* map(size_t bytes, int flags) {
  void* const at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

  CHECK(at != MAP_FAILED);
  return at;
}

void* gt_map(size_t bytes) {
  return map(bytes, MAP_PRIVATE);
}

void* gt_map_shared(size_t bytes) {
  return map(bytes, MAP_SHARED);
}

void gt_on_signal(int signal_number, void (*handler)(int, siginfo_t*, void*), int flags) {
  struct sigaction action = {.sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO};

  sigemptyset(&action.sa_mask);
  CHECK(sigaction(signal_number, &action, NULL) == 0);
}

size_t gt_read_file(const char* path, char* text, size_t bytes) {
  size_t have = 0;
  ssize_t got;
  const int fd = open(path, O_RDONLY | O_CLOEXEC);

  if (fd < 0) gt_fail(__FILE__, __LINE__, "cannot open %s: errno %d", path, errno);
  while (have < bytes - 1 && (got = read(fd, text + have, bytes - 1 - have)) > 0)
    have += (size_t)got;
  close(fd);
  text[have] = 0;
  return have;
}

// SPDX-License-Identifier: Apache-2.0
/* What gdb and strace look at: threads, a child, a loop, a crash on request. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

volatile int watched;

__attribute__((noinline)) int triple(int n) {
  watched = n * 3;
  return watched + 1;
}

static void* thread_main(void* unused) {
  (void)unused;
  triple(100);
  return NULL;
}

int main(int argc, char** argv) {
  pthread_t thread;
  int sum = 0;
  if (argc > 1) *(volatile int*)0 = atoi(argv[1]);
  pthread_create(&thread, NULL, thread_main, NULL);
  pthread_join(thread, NULL);
  for (int i = 0; i < 3; i++) sum += triple(i);
  const pid_t child = fork();
  if (child == 0) _exit(getppid() > 0 ? 7 : 8);
  int status;
  waitpid(child, &status, 0);
  printf("debuggee sum=%d child=%d\n", sum, WEXITSTATUS(status));
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
/* System V shared memory, semaphores (with undo) and messages between processes on two CPUs. */
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include "guest_test.h"

static int memory, semaphore, queue;
struct message {
  long type;
  int value;
};

static void add(short n, short undo) {
  struct sembuf operation = {.sem_num = 0, .sem_op = n, .sem_flg = undo};
  CHECK(semop(semaphore, &operation, 1) == 0);
}

static void body(int index) {
  volatile long* const words = shmat(memory, NULL, 0);
  CHECK((intptr_t)words != -1);
  for (int i = 0; i < 1000; i++) {
    add(-1, SEM_UNDO);
    words[0]++;
    add(1, SEM_UNDO);
  }
  struct message message = {index + 1, 5000 + index};
  CHECK(msgsnd(queue, &message, sizeof message.value, 0) == 0);
  add(-1, SEM_UNDO); /* exit gives it back */
}

int main(int argc, char** argv) {
  struct message message;
  gt_begin(argc, argv);
  memory = shmget(IPC_PRIVATE, 3 * GT_PAGE, 0600);
  if (memory < 0 && errno == ENOSYS) gt_skip("kernel without System V IPC");
  semaphore = semget(IPC_PRIVATE, 1, 0600);
  queue = msgget(IPC_PRIVATE, 0600);
  CHECK(memory >= 0 && semaphore >= 0 && queue >= 0);
  volatile long* const words = shmat(memory, NULL, 0);
  CHECK((intptr_t)words != -1);
  add(1, 0);
  gt_processes(3, body);
  CHECK_EQ(words[0], 3000);
  CHECK_EQ(semctl(semaphore, 0, GETVAL), 1);
  for (int i = 3; i > 0; i--) {
    CHECK_EQ(msgrcv(queue, &message, sizeof message.value, i, IPC_NOWAIT), sizeof message.value);
    CHECK_EQ(message.value, 5000 + i - 1);
  }
  CHECK(shmctl(memory, IPC_RMID, NULL) == 0 && semctl(semaphore, 0, IPC_RMID) == 0);
  CHECK(msgctl(queue, IPC_RMID, NULL) == 0 && shmdt((void*)words) == 0);
  return gt_ok();
}

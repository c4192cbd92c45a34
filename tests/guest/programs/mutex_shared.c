// SPDX-License-Identifier: Apache-2.0
/* A process-shared mutex and condition variable in shared memory: a ring of processes takes turns.
 */
#include "guest_test.h"

struct shared {
  pthread_mutex_t mutex;
  pthread_cond_t turn_changed;
  int turn;
};
static struct shared* shared;
static int members;
enum { kRounds = 300 };

static void body(int index) {
  for (int round = 0; round < kRounds; round++) {
    pthread_mutex_lock(&shared->mutex);
    while (shared->turn % members != index)
      pthread_cond_wait(&shared->turn_changed, &shared->mutex);
    shared->turn++;
    pthread_cond_broadcast(&shared->turn_changed);
    pthread_mutex_unlock(&shared->mutex);
  }
}

int main(int argc, char** argv) {
  pthread_mutexattr_t mutex_kind;
  pthread_condattr_t cond_kind;
  gt_begin(argc, argv);
  members = gt_cpus() > 1 ? gt_cpus() : 2;
  shared = gt_map_shared(GT_PAGE);
  pthread_mutexattr_init(&mutex_kind);
  pthread_mutexattr_setpshared(&mutex_kind, PTHREAD_PROCESS_SHARED);
  pthread_condattr_init(&cond_kind);
  pthread_condattr_setpshared(&cond_kind, PTHREAD_PROCESS_SHARED);
  CHECK(pthread_mutex_init(&shared->mutex, &mutex_kind) == 0);
  CHECK(pthread_cond_init(&shared->turn_changed, &cond_kind) == 0);
  gt_processes(members, body);
  CHECK_EQ(shared->turn, kRounds * members);
  return gt_ok();
}

// SPDX-License-Identifier: Apache-2.0
// A VMM gone mad on node 0: overwrites page words, rings and indexes of the control memory, posts nonsense.  The other
// node behaves.
// arguments: --seed N
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <random>
#include <string>

#include "base/error.h"
#include "dsm/shm/control_memory.h"
#include "tests/coherence/worker.h"

namespace {

using namespace pando;

int control_fd(int argc, char** argv) {
  for (int i = 1; i + 1 < argc; ++i)
    if (std::string(argv[i]) == "--control-fd") return dup(std::atoi(argv[i + 1]));
  return -1;
}

void scribble(dsm::ControlMemory& control, const Mapping& raw, uint32_t word_mask, std::mt19937_64& random) {
  dsm::RecordRing requests = control.requests(), fabric = control.fabric_out();
  const uint64_t words[2] = {random(), random()};
  switch (random() % 6) {
    case 0: {
      // The agent gives a client up that preloads after its start: seldom, or nothing else would be tried.
      auto kind = static_cast<dsm::RequestKind>(random() % 4);
      if (kind == dsm::RequestKind::Preloaded && random() % 4096 != 0) kind = dsm::RequestKind::Fetch;
      dsm::PageRequest r{kind, static_cast<uint8_t>(random()),
                         static_cast<uint16_t>(random()), static_cast<uint32_t>(random() % (2 * control.page_count())),
                         static_cast<uint32_t>(random() % 8), 0};
      (void)requests.try_push({reinterpret_cast<const uint8_t*>(&r), sizeof r}, {});
      break;
    }
    case 1: (void)requests.try_push({reinterpret_cast<const uint8_t*>(words), random() % 17}, {}); break;
    case 2: {
      dsm::FabricHeader h{static_cast<uint16_t>(random() % 80), static_cast<uint8_t>(random() % 4), 0,
                          static_cast<uint32_t>(random() % 64)};
      if (h.kind == static_cast<uint16_t>(dsm::FabricKind::Power)) h.kind = 200;
      (void)fabric.try_push({reinterpret_cast<const uint8_t*>(&h), sizeof h}, {reinterpret_cast<const uint8_t*>(words), random() % 16});
      break;
    }
    case 3:
      control.word(PageId(static_cast<uint32_t>(random() % control.page_count())))
          .initialise(static_cast<uint32_t>(random()) & word_mask);
      break;
    case 4:
      control.install_time(PageId(static_cast<uint32_t>(random() % control.page_count()))).store(static_cast<uint32_t>(random()));
      break;
    default:
      if (random() % 8192 == 0) std::memcpy(raw.data() + random() % (raw.size() / 8) * 8, words, 8);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int fd = control_fd(argc, argv);
  test::Worker w(argc, argv);
  w.start();
  std::mt19937_64 random(w.number("--seed", 1));
  if (w.self() != 0) {
    for (uint64_t i = 0;; ++i)
      reinterpret_cast<std::atomic<uint64_t>*>(w.range(static_cast<int>(i % 2)) + i * 7 % 64 * kPageSize)->fetch_add(1);
  }
  dsm::ControlMemory control = dsm::ControlMemory::attach(UniqueFd(dup(fd)));
  struct stat st {};
  check_errno(fstat(fd, &st), "fstat");
  const Mapping raw = Mapping::shared_file(fd, static_cast<size_t>(st.st_size), PROT_READ | PROT_WRITE);
  // Locks that are never given back end the run soon: not in every one.
  const uint32_t word_mask = random() % 4 == 0 ? ~0u : ~(dsm::PageWord::kLocked | dsm::PageWord::kWaiters);
  for (int i = 0; i < 200'000; ++i) scribble(control, raw, word_mask, random);
  w.finish(0);
}

// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/futex.h"
#include "base/mapping.h"
#include "base/unique_fd.h"
#include "tests/catch.h"

using namespace pando;

namespace {

bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

}  // namespace

TEST_CASE("unique fd: moved and destroyed: closed exactly once") {
  const int raw = memfd_create("test", 0);
  {
    UniqueFd a(raw);
    UniqueFd b(std::move(a));
    REQUIRE(!a.valid());
    REQUIRE(b.get() == raw);
    b = UniqueFd(b.release());
    REQUIRE(is_open(raw));
  }
  REQUIRE(!is_open(raw));
}

TEST_CASE("mapping: of a file: shares its content and unmaps on destruction") {
  const UniqueFd fd(memfd_create("test", 0));
  REQUIRE(ftruncate(fd.get(), 8192) == 0);
  const Mapping a = Mapping::shared_file(fd.get(), 8192, PROT_READ | PROT_WRITE);
  uint8_t* where = nullptr;
  {
    const Mapping b = Mapping::shared_file(fd.get(), 4096, PROT_READ, 4096);
    a.data()[4096] = 42;
    REQUIRE(b.data()[0] == 42);
    where = b.data();
  }
  REQUIRE(msync(where, 4096, MS_ASYNC) == -1);
}

TEST_CASE("mapping: fixed address in use: refused, the other mapping stays") {
  const Mapping first = Mapping::anonymous(4096);
  first.data()[0] = 7;
  const UniqueFd fd(memfd_create("test", 0));
  REQUIRE(ftruncate(fd.get(), 4096) == 0);
  REQUIRE_THROWS_AS(
      Mapping::shared_file_at(reinterpret_cast<uint64_t>(first.data()), fd.get(), 4096, PROT_READ), HostError);
  REQUIRE(first.data()[0] == 7);
}

TEST_CASE("errors: each Linux convention: its own helper") {
  errno = EBADF;
  REQUIRE_THROWS_AS(check_errno(-1, "x"), HostError);
  REQUIRE(check_errno(5, "x") == 5);
  REQUIRE_THROWS_AS(check_negative(-ENOENT, "x"), HostError);
  REQUIRE(check_negative(-5000, "an address") == -5000);
  REQUIRE_THROWS_AS(check_pthread(EAGAIN, "x"), HostError);
  try {
    check_negative(-ENOENT, "opening");
  } catch (const HostError& error) {
    REQUIRE(error.error_number() == ENOENT);
    REQUIRE(std::string(error.what()) == "opening: No such file or directory");
  }
}

TEST_CASE("futex: value differs, time-out, wake: each is its own outcome") {
  std::atomic<uint32_t> word{1};
  REQUIRE(futex_wait(word, 2, std::chrono::seconds(1)) == FutexWait::ValueChanged);
  REQUIRE(futex_wait(word, 1, std::chrono::milliseconds(1)) == FutexWait::TimedOut);
  std::thread waker([&] {
    word = 2;
    futex_wake(word, 1);
  });
  while (word == 1) futex_wait(word, 1, std::chrono::seconds(5));
  waker.join();
  REQUIRE(word == 2);
}

// SPDX-License-Identifier: Apache-2.0
#include "tests/coherence/worker.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "base/futex.h"

namespace pando::test {

namespace {

constexpr int kWriteFault = 2;  // bit of the page-fault error code
constexpr int kStartLimitMs = 60'000;
Worker* the_worker = nullptr;   // for the signal handler

}  // namespace

Worker::Worker(int argc, char** argv) {
  UniqueFd ram, control;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto value = [&] { return i + 1 < argc ? argv[++i] : ""; };
    if (word == "--ram-fd") ram.reset(std::atoi(value()));
    else if (word == "--control-fd") control.reset(std::atoi(value()));
    else if (word == "--append") (void)value();
    else arguments_.push_back(word);
  }
  client_ = dsm::NodeClient::attach(std::move(ram), std::move(control));
  the_worker = this;
  struct sigaction action {};
  action.sa_sigaction = on_sigbus;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  check_errno(sigaction(SIGBUS, &action, nullptr), "sigaction");
  map_ram();
}

void Worker::map_ram() {
  uffd_.emplace(dsm::Uffd::open_here());
  // Registered before anything can touch it, or an access would fill a hole unguarded.
  ram_ = Mapping::shared_file(client_->ram_fd(), bytes(), PROT_NONE);
  check_errno(madvise(ram_.data(), ram_.size(), MADV_DONTFORK), "MADV_DONTFORK");
  uffd_->register_range(reinterpret_cast<uint64_t>(ram_.data()), ram_.size());
  check_errno(mprotect(ram_.data(), ram_.size(), PROT_READ | PROT_WRITE), "mprotect");
}

void Worker::on_sigbus(int, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  const auto address = reinterpret_cast<uint64_t>(info->si_addr);
  Worker& w = *the_worker;
  const auto base = reinterpret_cast<uint64_t>(w.ram());
  if (address - base >= w.bytes()) {
    std::fprintf(stderr, "worker: SIGBUS at %lx outside guest RAM\n", address);
    _exit(99);
  }
  const auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  dsm::FaultInfo fault;
  fault.address = address;
  fault.rip = static_cast<uint64_t>(registers[REG_RIP]);
  fault.access = registers[REG_ERR] & kWriteFault ? dsm::Access::Write : dsm::Access::Read;
  const uint64_t at = page_floor(address);
  const uint64_t from = w.fault_around_ ? base : at;
  const uint64_t to = w.fault_around_ ? base + w.bytes() : at + kPageSize;
  const auto result = w.client_->fault_in(*w.uffd_, at, page_of(GuestPhys(address - base)), from, to, fault);
  if (result == dsm::NodeClient::Fault::Ended) _exit(98);
  errno = saved_errno;
}

void Worker::start() {
  client_->send(client_->layout().self, dsm::FabricKind::Ready, {});
  for (;;) {
    const auto message = client_->receive(kStartLimitMs);
    if (!message || message->kind == dsm::FabricKind::Shutdown) _exit(97);
    if (message->kind == dsm::FabricKind::Start) return;
  }
}

void Worker::barrier(uint64_t offset) {
  auto& arrived = atomic_at<uint32_t>(offset);
  const auto all = static_cast<uint32_t>(nodes());
  const uint32_t round = arrived.fetch_add(1) / all;
  for (useconds_t wait_us = 200; arrived.load() / all == round; wait_us = std::min<useconds_t>(wait_us * 2, 2000))
    usleep(wait_us);
}

uint64_t Worker::number(const std::string& option, uint64_t otherwise) const {
  for (size_t i = 0; i + 1 < arguments_.size(); ++i)
    if (arguments_[i] == option) return std::strtoull(arguments_[i + 1].c_str(), nullptr, 0);
  return otherwise;
}

void Worker::finish(int code) {
  if (self() == 0) {
    const uint32_t power_off[2] = {0, static_cast<uint32_t>(code)};
    client_->send(client_->layout().self, dsm::FabricKind::Power,
                  {reinterpret_cast<const uint8_t*>(power_off), sizeof power_off});
  }
  for (int rounds = 0; rounds < 60; ++rounds) {
    const auto message = client_->receive(1000);
    if (message && message->kind == dsm::FabricKind::Shutdown) _exit(0);
  }
  _exit(96);
}

pid_t Worker::fork_worker(const std::function<int()>& body) {
  std::fflush(nullptr);
  const pid_t pid = static_cast<pid_t>(check_errno(fork(), "fork"));
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::construct_at(&ram_);  // MADV_DONTFORK: the parent's mapping does not exist here, and its address may be reused
  map_ram();
  _exit(body());
}

}  // namespace pando::test

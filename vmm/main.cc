// SPDX-License-Identifier: Apache-2.0
// pando-vmm: hosts the virtual CPUs of one node.  Started by pando-dsm, which owns the memory and the network.
#include <sys/prctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "base/error.h"
#include "base/log.h"
#include "vmm/machine.h"
#include "vmm/options.h"
#include "vmm/sandbox.h"

namespace {

using namespace pando;

int run(int argc, char** argv) {
  // The agent is the parent: without it nobody could reach this process any more.
  check_errno(prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl(PR_SET_PDEATHSIG)");
  vmm::Options options = vmm::parse_options(argc, argv);
  log_init("pando-vmm/" + options.node_name, options.log_level);
  vmm::install_signal_handlers();
  auto client = dsm::NodeClient::attach(std::move(options.ram), std::move(options.control));
  vmm::Machine machine(options, std::move(client));
  if (options.sandbox) vmm::enter_sandbox();
  machine.run();
  std::fflush(nullptr);
  // vCPU threads run guest code and cannot be joined; stubs end with us (PDEATHSIG).
  _exit(vmm::kExitOrderly);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::puts("pando-vmm is started by pando-dsm; see docs/ARCHITECTURE.md");
    return vmm::kExitOrderly;
  } catch (const UserError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return vmm::kExitUserError;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pando-vmm: %s\n", error.what());
    return vmm::kExitHostFailure;
  }
}

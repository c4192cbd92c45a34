// SPDX-License-Identifier: Apache-2.0
// Command line of pando-vmm.  The agent starts it with open descriptors; nobody types this by hand.
#pragma once

#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "vmm/stub/address_spaces.h"

namespace pando::vmm {

struct Options {
  UniqueFd ram;
  UniqueFd control;
  UniqueFd kernel;
  std::vector<UniqueFd> initrds;  // concatenated, each padded to 4 bytes
  std::string append;             // kernel command line
  std::string log_level = "info";
  std::string node_name = "node";
  std::string kernel_name = "kernel image";  // in messages
  bool sandbox = true;
  bool wait_debugger = false;  // stay stopped until `pando gdb` lets go
  stub::HandOver hand_over = stub::HandOver::Adaptive;
};

// Throws UserError with the remedy.
Options parse_options(int argc, char** argv);

}  // namespace pando::vmm

// SPDX-License-Identifier: Apache-2.0
#include "vmm/options.h"

#include <fcntl.h>

#include <CLI/CLI.hpp>

#include "base/error.h"

namespace pando::vmm {

namespace {

UniqueFd take_fd(int fd, const char* option) {
  if (fd < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
    throw UserError(std::string("pando-vmm: ") + option +
                    " names no open descriptor; pando-vmm is started by pando-dsm, not by hand");
  return UniqueFd(fd);
}

}  // namespace

Options parse_options(int argc, char** argv) {
  CLI::App app("Hosts the virtual CPUs of one node; started by pando-dsm", "pando-vmm");
  int ram = -1, control = -1, kernel = -1;
  std::vector<int> initrds;
  Options options;
  bool no_sandbox = false;
  app.add_option("--ram-fd", ram, "guest RAM memfd")->required();
  app.add_option("--control-fd", control, "control memfd")->required();
  app.add_option("--kernel-fd", kernel, "guest kernel image (ELF)")->required();
  app.add_option("--initrd-fd", initrds, "initrd; may be repeated");
  app.add_option("--append", options.append, "kernel command line");
  app.add_option("--log-level", options.log_level, "debug, info, warn or error");
  app.add_option("--node-name", options.node_name, "name of this node in messages");
  app.add_option("--kernel-name", options.kernel_name, "file name of the kernel image in messages");
  app.add_option("--hand-over", options.hand_over, "how vCPU and user code wait for each other")
      ->transform(CLI::CheckedTransformer(std::map<std::string, stub::HandOver>{
          {"adaptive", stub::HandOver::Adaptive}, {"spin", stub::HandOver::Spin}, {"block", stub::HandOver::Block}}));
  app.add_flag("--wait-debugger", options.wait_debugger, "stop before the first instruction until a debugger resumes");
  app.add_flag("--no-sandbox", no_sandbox, "leave the VMM without its seccomp filter (debugging)");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    throw;
  } catch (const CLI::ParseError& error) {
    throw UserError(std::string("pando-vmm: ") + error.what() + "; try pando-vmm --help");
  }
  options.sandbox = !no_sandbox;
  options.ram = take_fd(ram, "--ram-fd");
  options.control = take_fd(control, "--control-fd");
  options.kernel = take_fd(kernel, "--kernel-fd");
  for (const int fd : initrds) options.initrds.push_back(take_fd(fd, "--initrd-fd"));
  return options;
}

}  // namespace pando::vmm

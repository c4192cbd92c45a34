// SPDX-License-Identifier: Apache-2.0
// pando-dsm: the agent of one node.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/error.h"
#include "base/log.h"
#include "dsm/agent/agent.h"

namespace {

using pando::UserError;

constexpr uint32_t kSpecBytesMax = 1 << 20;

void read_exactly(int fd, char* to, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    const ssize_t n = read(fd, to + done, bytes - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw pando::HostError("reading the node's specification", errno);
    if (n == 0) throw UserError("standard input ended inside the node's specification (pando starts this program)");
    done += static_cast<size_t>(n);
  }
}

pando::v1::NodeSpec read_spec() {
  uint8_t length[4];
  read_exactly(STDIN_FILENO, reinterpret_cast<char*>(length), sizeof length);
  const uint32_t bytes = length[0] | length[1] << 8 | length[2] << 16 | uint32_t{length[3]} << 24;
  if (bytes > kSpecBytesMax) throw UserError("the node's specification is longer than 1 MiB");
  std::string text(bytes, '\0');
  read_exactly(STDIN_FILENO, text.data(), text.size());
  pando::v1::NodeSpec spec;
  if (!spec.ParseFromString(text)) throw UserError("the node's specification is no NodeSpec message");
  return spec;
}

int serve() {
  // Before any thread exists: the main thread alone sees these.
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGCHLD);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  pando::dsm::NodeConfig config = pando::dsm::check_spec(read_spec());
  pando::log_init("dsm:" + config.node_name, config.log_level);
  pando::dsm::Agent agent(std::move(config));
  return agent.run();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("The DSM agent of one Pando node; started by pando.");
  app.require_subcommand(1);
  app.add_subcommand("serve", "read a NodeSpec from standard input and serve that node");
  CLI11_PARSE(app, argc, argv);
  try {
    return serve();
  } catch (const UserError& e) {
    std::fprintf(stderr, "pando-dsm: %s\n", e.what());
    return pando::dsm::kExitUserError;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "pando-dsm: %s\n", e.what());
    return pando::dsm::kExitInternal;
  }
}

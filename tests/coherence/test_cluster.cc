// SPDX-License-Identifier: Apache-2.0
#include "tests/coherence/test_cluster.h"

#include <fcntl.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/grpcpp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>

#include "base/error.h"
#include "dsm/rpc/credentials.h"

namespace pando::test {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

std::string program_beside(const std::string& name) {
  if (const char* folder = std::getenv("PANDO_TEST_PROGRAMS")) return std::string(folder) + "/" + name;
  char path[4096];
  const ssize_t n = readlink("/proc/self/exe", path, sizeof path);
  const std::string self(path, n > 0 ? static_cast<size_t>(n) : 0);
  return self.substr(0, self.rfind('/') + 1) + name;
}

TestCluster::TestCluster(const TestClusterOptions& options) : options_(options) {
  signal(SIGPIPE, SIG_IGN);
  agents_.resize(static_cast<size_t>(options.nodes));
  for (int n = 0; n < options.nodes; ++n)
    if (n != options.absent_node) start_agent(n);
  if (options.absent_node >= 0) {
    AgentProcess& absent = agents_[static_cast<size_t>(options.absent_node)];
    absent.address = "127.0.0.1:1";
    absent.ended = true;
  }
  const auto deadline = Clock::now() + milliseconds(10'000);
  for (AgentProcess& a : agents_)
    while (a.address.empty())
      if (Clock::now() > deadline || !read_events(milliseconds(1000)))
        throw std::runtime_error("an agent does not listen");
  send_plan();
}

TestCluster::~TestCluster() {
  for (AgentProcess& a : agents_) {
    a.input.reset();
    if (a.pid > 0 && !a.ended) {
      kill(a.pid, SIGKILL);
      waitpid(a.pid, nullptr, 0);
    }
  }
}

void TestCluster::start_agent(int node) {
  AgentProcess& a = agents_[static_cast<size_t>(node)];
  int in[2], out[2];
  check_errno(pipe2(in, O_CLOEXEC), "pipe");
  check_errno(pipe2(out, O_CLOEXEC), "pipe");
  std::vector<std::string> command;
  if (!options_.launch.empty()) command = options_.launch[static_cast<size_t>(node)];
  command.insert(command.end(), {program_beside("pando-dsm"), "serve"});
  std::vector<char*> argv;
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  a.pid = static_cast<pid_t>(check_errno(fork(), "fork"));
  if (a.pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0) _exit(127);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  a.input.reset(in[1]);
  a.output.reset(out[0]);
  v1::NodeSpec spec = options_.spec;
  const std::string host = options_.addresses.empty() ? "127.0.0.1" : options_.addresses[static_cast<size_t>(node)];
  spec.set_cluster_id("test-" + std::to_string(getpid()));
  spec.set_cluster_name("test");
  spec.set_node_id(static_cast<uint32_t>(node));
  spec.set_node_name("n" + std::to_string(node));
  spec.set_listen(host + ":0");
  spec.set_memory_bytes(options_.bytes_per_node);
  spec.set_vcpus(options_.vcpus_per_node);
  spec.set_vmm_program(options_.worker);
  if (!options_.node_tls.empty()) *spec.mutable_tls() = options_.node_tls[static_cast<size_t>(node)];
  else if (!options_.addresses.empty()) spec.set_insecure(options_.allow_insecure);
  if (spec.log_level().empty()) spec.set_log_level("warn");
  const std::string text = spec.SerializeAsString();
  const auto n = static_cast<uint32_t>(text.size());
  std::string framed{static_cast<char>(n), static_cast<char>(n >> 8), static_cast<char>(n >> 16), static_cast<char>(n >> 24)};
  framed += text;
  check_errno(write(a.input.get(), framed.data(), framed.size()), "sending the specification");
}

void TestCluster::send_plan() {
  v1::Plan& plan = plan_;
  plan.set_cluster_id("test-" + std::to_string(getpid()));
  for (int n = 0; n < options_.nodes; ++n) {
    v1::PlanNode* node = plan.add_nodes();
    node->set_id(static_cast<uint32_t>(n));
    node->set_name("n" + std::to_string(n));
    node->set_address(agents_[static_cast<size_t>(n)].address);
    node->set_memory_bytes(options_.bytes_per_node);
    node->set_vcpus(options_.vcpus_per_node);
  }
  for (const std::string& argument : options_.arguments) plan.add_vmm_arguments(argument);
  for (size_t n = 0; n < agents_.size(); ++n) {
    AgentProcess& a = agents_[n];
    if (a.pid < 0) continue;
    grpc::ChannelArguments arguments;
    if (!options_.node_tls.empty())
      arguments.SetSslTargetNameOverride(dsm::certificate_name(NodeId(static_cast<uint8_t>(n))));
    a.control = v1::Control::NewStub(
        grpc::CreateCustomChannel(a.address, dsm::channel_credentials(options_.operator_tls), arguments));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + milliseconds(10'000));
    v1::StartReply reply;
    const grpc::Status status = a.control->Start(&context, plan, &reply);
    if (!status.ok()) throw std::runtime_error("Start: " + status.error_message());
  }
}

bool TestCluster::read_events(milliseconds limit) {
  std::vector<pollfd> fds;
  for (AgentProcess& a : agents_) fds.push_back({a.output.valid() ? a.output.get() : -1, POLLIN, 0});
  if (poll(fds.data(), fds.size(), static_cast<int>(limit.count())) <= 0) return false;
  for (size_t i = 0; i < agents_.size(); ++i) {
    if (fds[i].revents == 0) continue;
    char text[4096];
    const ssize_t n = read(agents_[i].output.get(), text, sizeof text);
    if (n > 0) agents_[i].unread.append(text, static_cast<size_t>(n));
    take_lines(agents_[i]);
    if (n > 0) continue;
    agents_[i].output.reset();
    waitpid(agents_[i].pid, &agents_[i].end.wait_status, 0);
    agents_[i].ended = true;
    agents_[i].end.at = Clock::now();
  }
  return true;
}

void TestCluster::take_lines(AgentProcess& agent) {
  for (size_t end = agent.unread.find('\n'); end != std::string::npos; end = agent.unread.find('\n')) {
    v1::Event event;
    if (google::protobuf::util::JsonStringToMessage(agent.unread.substr(0, end), &event).ok()) {
      agent.phase = event.phase();
      if (!event.listen_address().empty()) agent.address = event.listen_address();
      if (event.has_exit()) agent.end.exit = event.exit();
    }
    agent.unread.erase(0, end + 1);
  }
}

std::map<int, TestCluster::NodeEnd> TestCluster::wait(milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  std::map<int, NodeEnd> result;
  while (result.size() < agents_.size()) {
    for (size_t i = 0; i < agents_.size(); ++i)
      if (agents_[i].ended) result[static_cast<int>(i)] = agents_[i].end;
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
    if (result.size() == agents_.size() || left.count() <= 0) break;
    read_events(left);
  }
  return result;
}

bool TestCluster::wait_phase(int node, v1::Phase phase, milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  AgentProcess& a = agents_[static_cast<size_t>(node)];
  while (a.phase < phase) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
    if (left.count() <= 0 || a.ended) return false;
    read_events(left);
  }
  return true;
}

v1::StatusReply TestCluster::status(int node) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + milliseconds(5'000));
  v1::StatusReply reply;
  const grpc::Status s = control(node).Status(&context, {}, &reply);
  if (!s.ok()) throw std::runtime_error("Status: " + s.error_message());
  return reply;
}

pid_t TestCluster::vmm_pid(int node) { return static_cast<pid_t>(status(node).vmm_pid()); }

}  // namespace pando::test

// SPDX-License-Identifier: Apache-2.0
#include "tools/cluster/session.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "base/error.h"
#include "tools/cluster/keeper.h"
#include "tools/cluster/plan.h"
#include "tools/cluster/spawn.h"
#include "tools/tls/authority.h"

namespace pando::cluster {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kEndSlack{2000};  // beyond the nodes' own time-out, until they are killed
constexpr milliseconds kShutdownCall{1000};  // an agent that ends already need not answer
constexpr size_t kTailBytes = 2000;

UniqueFd open_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, number);
  UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  check_errno(fd.get(), "signalfd");
  return fd;
}

std::string seconds_text(std::chrono::nanoseconds time) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f s", std::chrono::duration<double>(time).count());
  return text;
}

std::string last_line(const std::string& text) {
  const size_t end = text.find_last_not_of("\r\n ");
  if (end == text.npos) return "";
  const size_t begin = text.find_last_of('\n', end);
  return text.substr(begin == text.npos ? 0 : begin + 1,
                     end - (begin == text.npos ? 0 : begin + 1) + 1);
}

bool exited_with(int wait_status, std::initializer_list<int> codes) {
  return WIFEXITED(wait_status) &&
         std::find(codes.begin(), codes.end(), WEXITSTATUS(wait_status)) != codes.end();
}

// The node that knows best why the cluster ended comes first: what the guest did, then what broke,
// then what was seen of it from elsewhere.
int witness_rank(v1::ExitReason reason) {
  switch (reason) {
    case v1::EXIT_POWER_OFF:
    case v1::EXIT_REBOOT:
    case v1::EXIT_PANIC:
    case v1::EXIT_HALT:
      return 0;
    case v1::EXIT_START_FAILED:
    case v1::EXIT_VMM_DIED:
    case v1::EXIT_INTERNAL:
      return 1;
    case v1::EXIT_NODE_LOST:
      return 3;
    default:
      return 4;
  }
}
constexpr int kAgentGoneRank = 2;

}  // namespace

Session::Session(config::ClusterConfig config, SessionOptions options)
    : config_(std::move(config)),
      options_(std::move(options)),
      cluster_id_(tls::random_id()),
      images_(open_images(config_, Installation::of_this_program(), options_.extra_initrd)),
      certificates_(certificates_for(config_)),
      runtime_(RuntimeDir::take(options_.runtime_name, options_.old_logs)),
      nodes_(config_.nodes.size()),
      signals_(open_signals()),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  check_errno(wake_.get(), "eventfd");
}

Session::~Session() {
  // Processes first: their destructors kill; then nobody writes to the folder any more.
  nodes_.clear();
  if (keep_runtime_) return;
  if (options_.transient && !keep_logs_) {
    runtime_->remove();
  } else {
    runtime_->forget_state();
  }
}

void Session::say(const std::string& line) const {
  if (options_.progress) options_.progress("[" + seconds_text(Clock::now() - began_) + "] " + line);
}

std::string Session::name_of(uint32_t node_id) const {
  return node_id < config_.nodes.size() ? config_.nodes[node_id].name
                                        : "number " + std::to_string(node_id);
}

std::function<void()> Session::waker() const {
  return [fd = wake_.get()] {
    const uint64_t one = 1;
    (void)!::write(fd, &one, sizeof one);
  };
}

bool Session::all_nodes(const std::function<bool(const Node&)>& test) const {
  return std::all_of(nodes_.begin(), nodes_.end(), test);
}

std::string Session::log_tail(size_t node) const {
  std::ifstream in(runtime_->log_file(config_.nodes[node].name), std::ios::binary | std::ios::ate);
  if (!in) return "";
  const auto size = static_cast<size_t>(in.tellg());
  std::string text(std::min(size, kTailBytes), '\0');
  in.seekg(static_cast<std::streamoff>(size - text.size()));
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  return text;
}

// --- waiting

void Session::pump(Clock::time_point deadline) {
  std::vector<pollfd> fds{{signals_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
  for (const Node& node : nodes_) {
    const bool runs = node.process && !node.wait_status;
    fds.push_back({node.process ? node.process->events_fd() : -1, POLLIN, 0});
    fds.push_back({runs ? node.process->pidfd() : -1, POLLIN, 0});
  }
  const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
  const int limit_ms = static_cast<int>(std::clamp<int64_t>(left, 0, 60'000));
  if (::poll(fds.data(), fds.size(), limit_ms) < 0 && errno != EINTR)
    throw HostError("poll", errno);
  signalfd_siginfo signal{};
  while (::read(signals_.get(), &signal, sizeof signal) == sizeof signal) ++signals_seen_;
  uint64_t count = 0;
  (void)!::read(wake_.get(), &count, sizeof count);
  for (size_t i = 0; i < nodes_.size(); ++i) take_news(i);
}

void Session::take_news(size_t index) {
  Node& node = nodes_[index];
  if (!node.process) return;
  // Looked at before the pipe is read: what a process wrote before its end is read below.
  if (!node.wait_status) node.wait_status = node.process->ended();
  for (const v1::Event& event : node.process->read_events()) {
    if (!event.listen_address().empty()) node.listening = event.listen_address();
    node.phase = event.phase();
    node.last_text = event.text();
    if (event.has_exit()) node.exit = event.exit();
    if (!event.text().empty()) say(config_.nodes[index].name + ": " + event.text());
  }
}

void Session::check_alive() {
  if (signals_seen_ > 0) throw NotUp(kExitInterrupted, "interrupted while the cluster came up");
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    if (!node.exit && !node.wait_status) continue;
    if (node.listening.empty()) fail_launch(i);
    fail_user_mistake(i);
    const Outcome outcome = end("another node failed to start");
    throw NotUp(outcome.code == kExitFine ? int{kExitNotUp} : outcome.code, outcome.sentence);
  }
}

// A VMM that ends with status 2 has told on its stderr what the user can mend.
void Session::fail_user_mistake(size_t index) const {
  const std::optional<v1::ExitStatus>& exit = nodes_[index].exit;
  if (!exit || exit->reason() != v1::EXIT_VMM_DIED || exit->code() != kExitUserMistake) return;
  const std::string words = last_line(log_tail(index));
  if (!words.empty()) throw UserError("node " + config_.nodes[index].name + ": " + words);
}

void Session::fail_launch(size_t index) {
  const config::NodeConfig& node = config_.nodes[index];
  const int status = nodes_[index].wait_status.value_or(0);
  const std::string words = last_line(log_tail(index));
  if (exited_with(status, {kExitUserMistake}) && !words.empty())
    throw UserError("node " + node.name + ": " + words);
  const std::string command =
      joined(launch_command(node, Installation::of_this_program().agent, "serve"));
  const std::string sentence = "node " + node.name + ": '" + command + "' " +
                               describe_wait_status(status) + " before the agent listened" +
                               (words.empty() ? "" : ": " + words) +
                               "; try that command by hand, and correct launch or program";
  if (exited_with(status, {1, 126, 127, 255})) throw UserError(sentence);
  throw NotUp(kExitNotUp, sentence);
}

void Session::fail_deadline(const std::string& what, const std::function<bool(const Node&)>& done,
                            config::Nanoseconds limit, const std::string& remedy) {
  std::string sentence;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (done(nodes_[i])) continue;
    sentence += (sentence.empty() ? "node " : ", node ") + config_.nodes[i].name;
    if (!nodes_[i].last_text.empty()) sentence += " (last heard: " + nodes_[i].last_text + ")";
  }
  throw NotUp(kExitNotUp,
              sentence + ": " + what + " within " + seconds_text(limit) + "; " + remedy);
}

void Session::for_all_nodes(const std::string& what, const std::function<void(size_t node)>& work) {
  std::vector<std::exception_ptr> failures(nodes_.size());
  std::atomic<size_t> running{nodes_.size()};
  const std::function<void()> wake = waker();
  std::vector<std::jthread> threads;
  const auto cancel_all = [this] {
    for (Node& node : nodes_) node.client->cancel();
  };
  try {
    for (size_t i = 0; i < nodes_.size(); ++i) {
      threads.emplace_back([&, i] {
        try {
          work(i);
        } catch (...) {
          failures[i] = std::current_exception();
        }
        --running;
        wake();
      });
    }
    while (running > 0) {
      pump(Clock::now() + std::chrono::seconds(60));
      check_alive();
    }
  } catch (...) {
    cancel_all();  // the threads end and are joined while the exception goes on
    throw;
  }
  threads.clear();
  for (const std::exception_ptr& failure : failures) {
    if (!failure) continue;
    try {
      std::rethrow_exception(failure);
    } catch (const ControlError& error) {
      throw NotUp(kExitNotUp, std::string(error.what()) + " (" + what + ")");
    }
  }
}

// --- bringing up

void Session::prepare() {
  // While the agents start.
  std::future<void> named = std::async(std::launch::async, [this] { name_images(images_); });
  launch();
  connect();
  save_state(::getpid());
  named.get();
  ship_images();
}

void Session::start() {
  start_all();
  wait_running();
}

void Session::launch() {
  const std::string agent = Installation::of_this_program().agent;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const config::NodeConfig& node = config_.nodes[i];
    const UniqueFd log = runtime_->open_log(node.name);
    try {
      nodes_[i].process.emplace(launch_command(node, agent, "serve"), log.get());
    } catch (const UserError& error) {
      throw UserError("node " + node.name + ": " + error.what());
    }
    nodes_[i].process->send(make_spec(config_, i, cluster_id_, certificates_.nodes[i]));
  }
  const auto listens = [](const Node& node) { return !node.listening.empty(); };
  const auto deadline = began_ + config_.timeouts.launch;
  while (!all_nodes(listens)) {
    if (Clock::now() >= deadline) {
      fail_deadline("the agent did not listen", listens, config_.timeouts.launch,
                    "try the node's launch command by hand, or raise timeouts.launch");
    }
    pump(deadline);
    check_alive();
  }
}

void Session::connect() {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const auto real = config::parse_endpoint(nodes_[i].listening);
    const std::string address =
        config::Endpoint{config_.nodes[i].address, real ? real->port : uint16_t{0}}.text();
    nodes_[i].client = std::make_unique<ControlClient>(config_.nodes[i].name, i, address,
                                                       certificates_.operator_tls);
  }
}

void Session::save_state(pid_t supervisor) {
  v1::ClusterState state;
  state.set_cluster_id(cluster_id_);
  state.set_name(options_.runtime_name);
  state.set_transient(options_.transient);
  state.set_config_file(config_.file);
  state.set_started_unix_ns(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                std::chrono::system_clock::now().time_since_epoch())
                                .count());
  state.set_supervisor_pid(supervisor);
  *state.mutable_operator_tls() = certificates_.operator_tls;
  state.set_kernel_file(std::filesystem::absolute(images_.kernel.file).string());
  for (size_t i = 0; i < nodes_.size(); ++i) {
    v1::StateNode& node = *state.add_nodes();
    node.set_id(static_cast<uint32_t>(i));
    node.set_name(config_.nodes[i].name);
    node.set_address(nodes_[i].listening);
    node.set_launch_pid(nodes_[i].process->pid());
  }
  runtime_->save(state);
}

void Session::ship_images() {
  for_all_nodes("shipping images; see timeouts.ship", [this](size_t i) {
    nodes_[i].client->ship(images_.kernel, config_.timeouts.ship);
    if (i != 0) return;  // only the first node unpacks them
    for (const Image& initrd : images_.initrds)
      nodes_[i].client->ship(initrd, config_.timeouts.ship);
  });
  say("images are there");
}

void Session::start_all() {
  std::vector<std::string> listening;
  for (const Node& node : nodes_) listening.push_back(node.listening);
  PlanImages images{.kernel_sha256 = images_.kernel.sha256,
                    .kernel_file = images_.kernel.file,
                    .initrd_sha256 = {}};
  for (const Image& initrd : images_.initrds) images.initrd_sha256.push_back(initrd.sha256);
  const v1::Plan plan = make_plan(config_, cluster_id_, listening, images);
  for_all_nodes("starting",
                [&](size_t i) { nodes_[i].client->start(plan, config_.timeouts.connect); });
}

void Session::wait_running() {
  // A node that is ending tells why in a moment.
  const auto runs = [](const Node& node) { return node.phase == v1::PHASE_RUNNING; };
  // The agents have time-outs of their own for each step; this one is for agents that fell silent.
  const auto limit = config_.timeouts.connect + config_.timeouts.vmm_ready + kEndSlack;
  const auto deadline = Clock::now() + limit;
  for (;;) {
    // A guest may have run and ended before we looked: that is for supervise().
    const bool ended = std::any_of(nodes_.begin(), nodes_.end(),
                                   [](const Node& n) { return n.exit || n.wait_status; });
    const bool guest_ended = std::any_of(nodes_.begin(), nodes_.end(), [](const Node& n) {
      return n.exit && witness_rank(n.exit->reason()) == 0;
    });
    if (guest_ended) return;
    if (ended || signals_seen_ > 0) check_alive();
    if (all_nodes(runs)) return;
    if (Clock::now() >= deadline) {
      fail_deadline("the node did not come up", runs, limit, "look at its log with pando logs");
    }
    pump(deadline);
  }
}

// --- running and ending

Session::Until Session::supervise(const Attachment& attachment,
                                  std::optional<std::chrono::nanoseconds> limit) {
  const auto deadline = Clock::now() + limit.value_or(std::chrono::hours(24 * 365 * 10));
  for (;;) {
    const bool ended = std::any_of(nodes_.begin(), nodes_.end(),
                                   [](const Node& n) { return n.exit || n.wait_status; });
    if (ended) return Until::Ended;
    if (signals_seen_ > 0) return Until::Interrupted;
    if (attachment.detach_requested()) return Until::Detached;
    if (attachment.output_closed()) return Until::OutputClosed;
    if (Clock::now() >= deadline) return Until::TimeLimit;
    pump(deadline);
  }
}

void Session::drain(const Attachment& attachment) {
  const int signals_before = signals_seen_;
  while (!attachment.ended() && !attachment.output_closed() && signals_seen_ == signals_before) {
    pump(Clock::now() + std::chrono::seconds(60));
  }
}

Outcome Session::end(const std::string& reason) {
  const auto gone = [](const Node& node) { return !node.process || node.wait_status; };
  const bool quiet = std::none_of(nodes_.begin(), nodes_.end(),
                                  [](const Node& n) { return n.exit || n.wait_status; });
  if (quiet) {
    for (Node& node : nodes_) {
      try {
        if (node.client) node.client->shutdown(false, reason, kShutdownCall);
      } catch (const ControlError&) {
        // Its liveness pipe, closed below, says the same.
      }
    }
  }
  const int signals_before = signals_seen_;
  const auto deadline = Clock::now() + config_.timeouts.shutdown + kEndSlack;
  while (!all_nodes(gone) && Clock::now() < deadline && signals_seen_ == signals_before) {
    for (Node& node : nodes_) {
      if (node.process) node.process->close_liveness();
    }
    pump(deadline);
  }
  std::optional<Outcome> best;
  int best_rank = kAgentGoneRank + 100;
  const auto witness = [&](int rank, const Outcome& outcome) {
    if (rank >= best_rank) return;
    best_rank = rank;
    best = outcome;
  };
  for (size_t i = 0; i < nodes_.size(); ++i) {
    Node& node = nodes_[i];
    const std::string& name = config_.nodes[i].name;
    if (node.exit) {
      witness(witness_rank(node.exit->reason()),
              outcome_of(*node.exit, name_of(node.exit->node())));
    } else if (node.wait_status) {
      witness(kAgentGoneRank, {kExitNodeLost, "node " + name + ": its agent " +
                                                  describe_wait_status(*node.wait_status)});
    } else if (node.process) {
      node.process->kill();
      witness(kAgentGoneRank,
              {kExitNodeLost, "node " + name + ": did not end in time and was killed"});
    }
  }
  return best.value_or(Outcome{kExitInternal, "no node was started"});
}

void Session::hand_over(const std::vector<std::string>& restart) {
  std::vector<HeldAgent> held;
  for (const Node& node : nodes_) held.push_back(HeldAgent::of(*node.process));
  const pid_t keeper =
      start_keeper(*runtime_, held, config_.timeouts.shutdown + kEndSlack, restart);
  keep_runtime_ = true;
  for (Node& node : nodes_) node.process->release();
  save_state(keeper);
}

}  // namespace pando::cluster

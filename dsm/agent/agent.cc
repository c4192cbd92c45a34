// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/agent.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/log.h"
#include "dsm/agent/exit_status.h"
#include "dsm/agent/fault_log.h"
#include "dsm/rpc/credentials.h"

namespace pando::dsm {

using std::chrono::milliseconds;

// Incoming links go to the mesh, which exists as soon as this node has its plan.
class Agent::PeerService final : public v1::Peer::CallbackService {
 public:
  explicit PeerService(const std::atomic<Machine*>& machine) : machine_(machine) {}
  grpc::ServerBidiReactor<v1::PeerFrame, v1::PeerFrame>* Link(grpc::CallbackServerContext* context) override {
    Machine* machine = machine_.load(std::memory_order_acquire);
    return machine ? machine->mesh->accept(context) : refuse_link("this node has no plan yet");
  }

 private:
  const std::atomic<Machine*>& machine_;
};

namespace {

int exit_code_of(const v1::ExitStatus& status) {
  switch (status.reason()) {
    case v1::EXIT_POWER_OFF:
    case v1::EXIT_REBOOT:
    case v1::EXIT_HALT:
    case v1::EXIT_SHUTDOWN: return kExitOrderly;
    case v1::EXIT_NODE_LOST: return kExitNodeLost;
    case v1::EXIT_VMM_DIED: return kExitVmmDied;
    case v1::EXIT_PANIC: return kExitPanic;
    case v1::EXIT_START_FAILED: return kExitStartFailed;
    default: return kExitInternal;
  }
}

constexpr int kClockUpdateMs = 500;
constexpr milliseconds kStreamsEnd{500};

UniqueFd take_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGCHLD);
  return UniqueFd(static_cast<int>(check_errno(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd")));
}

}  // namespace

Agent::Agent(NodeConfig config)
    : config_(std::move(config)), events_(config_.self), control_service_(*this, images_, events_, console_),
      debug_service_(*this), observe_service_(*this), peer_service_(std::make_unique<PeerService>(machine_view_)), signals_(take_signals()) {}

Agent::~Agent() = default;

// --- main thread

int Agent::run() {
  listen();
  set_deadline(config_.timeouts.plan, "no plan came from the operator", v1::EXIT_START_FAILED);
  while (!exit_) wait_and_handle();
  finish();
  return exit_code_of(*exit_);
}

void Agent::listen() {
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(config_.listen, server_credentials(config_.tls), &port);
  builder.RegisterService(&control_service_);
  builder.RegisterService(&debug_service_);
  builder.RegisterService(&observe_service_);
  builder.RegisterService(peer_service_.get());
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  server_ = builder.BuildAndStart();
  if (!server_ || port == 0)
    throw UserError("cannot listen on " + config_.listen + ": is the address on this host, and the port free?");
  if (!config_.metrics_listen.empty())
    metrics_ = std::make_unique<MetricsEndpoint>(config_.metrics_listen, [this](v1::StatusReply& r) { status(r); });
  v1::Event event;
  event.set_phase(v1::PHASE_IDLE);
  event.set_listen_address(config_.listen.substr(0, config_.listen.rfind(':') + 1) + std::to_string(port));
  event.set_text("listening on " + event.listen_address());
  events_.add(std::move(event));
}

void Agent::set_deadline(milliseconds limit, const std::string& what, v1::ExitReason reason) {
  deadline_ = Deadline{Clock::now() + limit, what + " within " + std::to_string(limit.count()) + " ms", reason};
}

void Agent::wait_and_handle() {
  const bool watch_vmm = machine_ && machine_->vmm;
  pollfd fds[] = {{mailbox_.fd(), POLLIN, 0},
                  {signals_.get(), POLLIN, 0},
                  {stdin_open_ ? 0 : -1, POLLIN, 0},
                  {watch_vmm ? machine_->vmm->pidfd() : -1, POLLIN, 0}};
  int limit_ms = -1;
  if (deadline_) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline_->at - Clock::now()).count();
    limit_ms = static_cast<int>(std::clamp<int64_t>(left + 1, 0, 60'000));
  }
  if (running_ && machine_->plan.nodes.size() > 1) {
    update_clock();
    if (const auto late = machine_->coherence->overdue(config_.timeouts.page_request))
      return begin_end(exit_status(v1::EXIT_NODE_LOST, 0, late->home,
                                   name_of_node(late->home) + " was given up: a page that is homed there did not come within " +
                                       std::to_string(config_.timeouts.page_request.count()) + " ms"));
    limit_ms = kClockUpdateMs;
  }
  const int ready = poll(fds, std::size(fds), limit_ms);
  if (ready < 0 && errno != EINTR) throw HostError("poll", errno);
  // In this order: a power event that the VMM posted before it ended counts more than its end.
  if (fds[3].revents != 0) on_vmm_exit();
  while (!exit_) {
    auto event = mailbox_.take();
    if (!event) break;
    std::visit([this](auto& e) { handle(e); }, *event);
  }
  if (exit_) return;
  if (fds[1].revents != 0 && told_to_end())
    begin_end(exit_status(v1::EXIT_SHUTDOWN, 0, config_.self, "the agent was told to end by a signal"));
  if (fds[2].revents != 0) {
    char ignored[256];
    stdin_open_ = read(0, ignored, sizeof ignored) > 0;
    if (!stdin_open_ && !config_.detached)
      begin_end(exit_status(v1::EXIT_SHUTDOWN, 0, config_.self, "the program that started the agent went away"));
  }
  if (!exit_ && deadline_ && Clock::now() >= deadline_->at)
    begin_end(exit_status(deadline_->reason, 0, config_.self, deadline_->what));
}

void Agent::handle(ClusterPlan& plan) {
  try {
    bring_up(std::move(plan));
  } catch (const std::exception& e) {
    begin_end(exit_status(v1::EXIT_START_FAILED, 0, config_.self, e.what()));
  }
}

void Agent::bring_up(ClusterPlan plan) {
  machine_ = std::make_unique<Machine>(std::move(plan));
  Machine& m = *machine_;
  make_memory();
  PeerMeshOptions o;
  o.self = config_.self;
  for (const PlannedNode& n : m.plan.nodes) {
    o.addresses.push_back(n.address);
    o.names.push_back(n.name);
  }
  o.cluster_id = config_.cluster_id;
  o.plan_digest = m.plan.digest;
  o.tls = config_.tls;
  o.connect = config_.timeouts.connect;
  o.node_loss = config_.timeouts.node_loss;
  o.delay = config_.switches.delay;
  o.batching = config_.switches.batching;
  o.direct = config_.switches.direct;
  o.listen = config_.listen;
  m.mesh = std::make_unique<PeerMesh>(std::move(o), static_cast<PeerHandler&>(*this));
  m.coherence = std::make_unique<Coherence>(config_, m.plan, *m.memory, *m.control, *m.mesh,
                                            static_cast<Coherence::Watcher&>(*this), trace_);
  m.client = std::make_unique<ClientLink>(*m.control, static_cast<ClientHandler&>(*this),
                                          ClientLinkOptions{config_.switches.spin, config_.switches.realtime,
                                                            config_.switches.batching});
  ready_.resize(m.plan.nodes.size());
  start_vmm();
  m.vmm_pid = m.vmm->pid();
  publish_machine();
  set_deadline(config_.timeouts.connect, "not all nodes were connected", v1::EXIT_START_FAILED);
  m.mesh->dial();
}

void Agent::make_memory() {
  const ClusterPlan& plan = machine_->plan;
  machine_->memory.emplace(plan.ram_bytes());
  std::vector<SharedNodeRange> ranges;
  std::vector<std::string> names;
  for (const PlannedNode& n : plan.nodes) {
    ranges.push_back(n.range);
    names.push_back(n.name);
  }
  ControlConfig c{};
  c.nodes = ranges;
  c.vcpu_node = plan.vcpu_node;
  c.distances = plan.distances;
  c.node_names = names;
  c.self = config_.self;
  c.fault_around_pages = config_.switches.fault_around_pages;
  c.hold_min_ns = static_cast<uint32_t>(std::chrono::nanoseconds(config_.switches.hold).count());
  c.hold_adaptive = config_.switches.adaptive_hold;
  c.spin_ns = static_cast<uint32_t>(std::chrono::nanoseconds(config_.switches.spin).count());
  machine_->control = ControlMemory::create(c);
  // Every node owns its own pages, none of them written yet.
  const SharedNodeRange& own = ranges[config_.self.value()];
  const uint32_t first = page_of(GuestPhys(own.start)).value();
  for (uint32_t p = first; p < first + (own.bytes >> kPageShift); ++p)
    machine_->control->word(PageId(p)).initialise(PageWord::with_right(0, Right::Write));
}

void Agent::start_vmm() {
  const ClusterPlan& plan = machine_->plan;
  std::vector<UniqueFd> images;
  std::vector<int> kept{machine_->memory->fd(), machine_->control->fd()};
  std::vector<std::string> arguments{"--ram-fd", std::to_string(kept[0]), "--control-fd", std::to_string(kept[1])};
  const auto add_image = [&](const std::string& option, const std::string& sha256) {
    images.push_back(images_.open(sha256));
    if (!images.back()) throw UserError("the image " + sha256 + " was not sent to this node");
    kept.push_back(images.back().get());
    arguments.insert(arguments.end(), {option, std::to_string(kept.back())});
  };
  if (!plan.kernel_sha256.empty()) add_image("--kernel-fd", plan.kernel_sha256);
  if (config_.self == NodeId(0))
    for (const std::string& sha256 : plan.initrd_sha256) add_image("--initrd-fd", sha256);
  arguments.insert(arguments.end(), {"--append", plan.command_line});
  arguments.insert(arguments.end(), plan.vmm_arguments.begin(), plan.vmm_arguments.end());
  machine_->vmm = std::make_unique<VmmProcess>(config_.vmm_program, arguments, kept);
  events_.add(v1::PHASE_VMM_STARTING, "started the VMM, process " + std::to_string(machine_->vmm->pid()));
}

void Agent::handle(PeersConnected&) {
  connected_ = true;
  uint32_t here = 1;
  for (uint8_t n = 0; n < machine_->plan.nodes.size(); ++n)
    here += NodeId(n) != config_.self && machine_->mesh->on_this_host(NodeId(n));
  machine_->control->header().host_nodes.store(here, std::memory_order_relaxed);
  if (!vmm_ready_) set_deadline(config_.timeouts.vmm_ready, "the VMM did not become ready", v1::EXIT_START_FAILED);
  announce_ready();
}

void Agent::handle(VmmReady&) {
  vmm_ready_ = true;
  announce_ready();
}

// Node 0 hears from every node that it is ready, then starts the guest everywhere.
void Agent::announce_ready() {
  if (!connected_ || !vmm_ready_ || announced_) return;
  announced_ = true;
  events_.add(v1::PHASE_READY, "ready");
  set_deadline(config_.timeouts.vmm_ready, "not all nodes became ready", v1::EXIT_START_FAILED);
  const std::string digest = machine_->coherence->preload_digest();
  if (config_.self == NodeId(0)) {
    PeerReady own{config_.self, digest};
    return handle(own);
  }
  (void)machine_->mesh->send(NodeId(0), PeerStream::Control, 128,
                             [&](v1::PeerFrame& f) { f.mutable_ready()->set_preload_digest(digest); });
}

void Agent::handle(PeerReady& ready) {
  ready_[ready.node.value()] = ready.preload_digest;
  if (config_.self != NodeId(0) || !std::ranges::all_of(ready_, [](const auto& r) { return r.has_value(); })) return;
  for (uint8_t n = 1; n < ready_.size(); ++n)
    if (*ready_[n] != *ready_[0])
      return begin_end(exit_status(v1::EXIT_START_FAILED, 0, NodeId(n),
                                   name_of_node(NodeId(n)) + " loaded another kernel or boot information than node 0"));
  GuestStart start{monotonic_now_ns()};
  for (uint8_t n = 1; n < ready_.size(); ++n)
    (void)machine_->mesh->send(NodeId(n), PeerStream::Control, 64, [&](v1::PeerFrame& f) {
      f.mutable_start()->set_time_zero_ns(start.time_zero_ns);
    });
  handle(start);
}

void Agent::handle(GuestStart& start) {
  if (!announced_ || running_) return;
  deadline_.reset();
  time_zero_ns_ = start.time_zero_ns;
  const ClockEstimate clock = reads_clock_of_node_0() ? ClockEstimate{} : machine_->mesh->clock(NodeId(0));
  machine_->control->header().clock_offset_ns.store(clock.offset_ns - time_zero_ns_, std::memory_order_relaxed);
  running_ = true;
  events_.add(v1::PHASE_RUNNING, "the guest runs");
  deliver(FabricKind::Start, config_.self, {});
}

bool Agent::reads_clock_of_node_0() const {
  return config_.self == NodeId(0) || machine_->mesh->on_this_host(NodeId(0));
}

// The published offset moves only when it is certainly wrong, and then by small steps: the guest's clock must not jump.
void Agent::update_clock() {
  uint64_t slowest = 0;
  for (uint8_t n = 0; n < machine_->plan.nodes.size(); ++n)
    if (NodeId(n) != config_.self) slowest = std::max(slowest, machine_->mesh->clock(NodeId(n)).round_trip_ns);
  machine_->control->header().round_trip_ns.store(static_cast<int64_t>(slowest), std::memory_order_relaxed);
  if (reads_clock_of_node_0()) return;
  constexpr int64_t kStepMaxNs = 20'000;
  const ClockEstimate clock = machine_->mesh->clock(NodeId(0));
  if (clock.error_ns > 1'000'000'000) return;
  auto& published = machine_->control->header().clock_offset_ns;
  const int64_t now = published.load(std::memory_order_relaxed);
  const int64_t wrong = clock.offset_ns - time_zero_ns_ - now;
  const auto error = static_cast<int64_t>(clock.error_ns);
  const int64_t certain = wrong > error ? wrong - error : wrong < -error ? wrong + error : 0;
  published.store(now + std::clamp(certain, -kStepMaxNs, kStepMaxNs), std::memory_order_relaxed);
}

// Takes what the signal descriptor holds.
bool Agent::told_to_end() {
  bool told = false;
  signalfd_siginfo info;
  while (read(signals_.get(), &info, sizeof info) == sizeof info) {
    told |= info.ssi_signo != SIGCHLD;
    if (info.ssi_signo == SIGCHLD && machine_ && machine_->vmm) machine_->vmm->reap_orphans();
  }
  return told;
}

// While a debugger keeps an ended guest: has the operator, or a signal, asked for the end?
bool Agent::end_now() {
  if (told_to_end()) return true;
  while (auto event = mailbox_.take())
    if (const End* end = std::get_if<End>(&*event); end && end->status.reason() == v1::EXIT_SHUTDOWN) return true;
  return false;
}

void Agent::on_vmm_exit() {
  const auto status = machine_->vmm->wait(milliseconds(0));
  if (!status) return;
  vmm_gone_ = true;
  machine_->client->stop();  // whatever it posted before its end is handled now
  request_end(v1::EXIT_VMM_DIED, static_cast<uint32_t>(WIFEXITED(*status) ? WEXITSTATUS(*status) : 128),
              "the VMM of node " + config_.node_name + " " + describe_wait_status(*status));
}

void Agent::begin_end(const v1::ExitStatus& status) {
  if (exit_) return;
  exit_ = status;
  events_.add(v1::PHASE_ENDING, status.message());
}

void Agent::finish() {
  if (machine_) tell_peers_of_end();
  debug_service_.on_end(*exit_);
  // A guest that has panicked, or lost its VMM, is kept for the debugger that is looking at it.
  if (exit_->reason() == v1::EXIT_PANIC || exit_->reason() == v1::EXIT_VMM_DIED)
    debug_service_.wait_detached([this] { return end_now(); });
  if (machine_) {
    if (machine_->control) machine_->control->header().ended.store(1, std::memory_order_release);
    if (machine_->client) (void)machine_->client->deliver(FabricKind::Shutdown, config_.self, {});
    if (machine_->vmm) {
      machine_->vmm->wait(config_.timeouts.shutdown);
      machine_->vmm->kill();
      machine_->vmm->wait(milliseconds(1000));
    }
    if (machine_->client) machine_->client->stop();
    if (machine_->coherence) machine_->coherence->stop();
    if (machine_->mesh) machine_->mesh->close();
  }
  console_.close();
  v1::Event event;
  event.set_phase(v1::PHASE_ENDED);
  event.set_text(exit_->message());
  *event.mutable_exit() = *exit_;
  events_.add(std::move(event));
  metrics_.reset();
  // Streams end by themselves after the exit event; a client that does not read is cut off.  Not left to Shutdown(),
  // which would also wait for clients that have everything and merely keep their connection.
  const auto limit = Clock::now() + kStreamsEnd;
  events_.wait_no_readers(limit);
  console_.wait_no_readers(limit);
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
  machine_view_.store(nullptr, std::memory_order_release);
  machine_.reset();
}

// --- any thread

void Agent::request_end(v1::ExitReason reason, uint32_t code, const std::string& message) {
  (void)mailbox_.post(End{exit_status(reason, code, config_.self, message)});  // full: an end is on its way already
}

// --- operator (gRPC threads)

std::string Agent::start(const v1::Plan& plan) try {
  ClusterPlan checked = check_plan(plan, config_);
  if (planned_.exchange(true)) return "this agent has a plan already";
  return mailbox_.post(std::move(checked)) ? "" : "the agent is ending";
} catch (const UserError& e) {
  return e.what();
}

void Agent::shutdown(const v1::ShutdownRequest& request) {
  request_end(v1::EXIT_SHUTDOWN, 0, request.reason().empty() ? "shut down by the operator" : request.reason());
}

void Agent::faults(const v1::FaultsRequest& request, v1::FaultsReply& reply) {
  const Machine* machine = machine_view_.load(std::memory_order_acquire);
  if (machine && machine->control) read_faults(*machine->control, request.since_sequence(), request.records_max(), reply);
}

void Agent::console_input(uint8_t port, const std::string& bytes, bool end_of_file) {
  const std::lock_guard lock(input_mutex_);
  if (machine_view_.load(std::memory_order_acquire)) return forward_input({port, bytes, end_of_file});
  const size_t room = kEarlyInputMax - std::min(kEarlyInputMax, early_input_bytes_);
  early_input_bytes_ += bytes.size() + 1;
  if (bytes.size() < room) early_input_.push_back({port, bytes, end_of_file});
}

// The operator's program sends its input as soon as it is attached, which may be before the plan.
void Agent::publish_machine() {
  const std::lock_guard lock(input_mutex_);
  machine_view_.store(machine_.get(), std::memory_order_release);
  for (const ConsoleInput& input : early_input_) forward_input(input);
  early_input_.clear();
}

void Agent::forward_input(const ConsoleInput& input) {
  const NodeId node = machine_view_.load(std::memory_order_acquire)->plan.console_node;
  // In pieces that fit a fabric message; an empty piece means end of file.
  for (size_t at = 0; at < input.bytes.size(); at += kFabricPayloadMax - 1)
    send_console(node, input.port, std::string_view(input.bytes).substr(at, kFabricPayloadMax - 1), true);
  if (input.end_of_file) send_console(node, input.port, {}, true);
}

}  // namespace pando::dsm

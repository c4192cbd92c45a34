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
#include "dsm/agent/fault_log.h"
#include "dsm/rpc/credentials.h"

namespace pando::dsm {

using std::chrono::milliseconds;

// What exists from the plan to the end.  Members die in the reverse order: VMM first, then the rings, then memory.
struct Agent::Machine {
  explicit Machine(ClusterPlan p) : plan(std::move(p)) {}
  ClusterPlan plan;
  std::optional<GuestMemory> memory;
  std::optional<ControlMemory> control;
  std::unique_ptr<ClientLink> client;
  std::unique_ptr<VmmProcess> vmm;
};

namespace {

v1::ExitStatus exit_status(v1::ExitReason reason, uint32_t code, NodeId node, const std::string& message) {
  v1::ExitStatus s;
  s.set_reason(reason);
  s.set_code(code);
  s.set_node(node.value());
  s.set_message(message);
  return s;
}

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

UniqueFd take_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return UniqueFd(static_cast<int>(check_errno(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd")));
}

}  // namespace

Agent::Agent(NodeConfig config)
    : config_(std::move(config)), events_(config_.self), control_service_(*this, images_, events_, console_),
      debug_service_(*this), signals_(take_signals()) {}

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
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  server_ = builder.BuildAndStart();
  if (!server_ || port == 0)
    throw UserError("cannot listen on " + config_.listen + ": is the address on this host, and the port free?");
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
  if (fds[1].revents != 0)
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
  if (plan.nodes.size() > 1) throw UserError("clusters of more than one node are not built yet");
  machine_ = std::make_unique<Machine>(std::move(plan));
  make_memory();
  machine_view_.store(machine_.get(), std::memory_order_release);
  start_vmm();
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
  c.spin_ns = static_cast<uint32_t>(std::chrono::nanoseconds(config_.switches.spin).count());
  machine_->control = ControlMemory::create(c);
  // Every node owns its own pages, none of them written yet.
  const SharedNodeRange& own = ranges[config_.self.value()];
  const uint32_t first = page_of(GuestPhys(own.start)).value();
  for (uint32_t p = first; p < first + (own.bytes >> kPageShift); ++p)
    machine_->control->word(PageId(p)).initialise(PageWord::with_right(0, Right::Write));
  machine_->client = std::make_unique<ClientLink>(*machine_->control, static_cast<ClientHandler&>(*this), ClientLinkOptions{config_.switches.spin});
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
  set_deadline(config_.timeouts.vmm_ready, "the VMM did not become ready", v1::EXIT_START_FAILED);
}

void Agent::handle(VmmReady&) {
  if (events_.phase() != v1::PHASE_VMM_STARTING) return;
  deadline_.reset();
  events_.add(v1::PHASE_RUNNING, "the guest runs");
  machine_->client->deliver(FabricKind::Start, config_.self, {});
}

// While a debugger keeps an ended guest: has the operator, or a signal, asked for the end?
bool Agent::end_now() {
  signalfd_siginfo info;
  if (read(signals_.get(), &info, sizeof info) == sizeof info) return true;
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
  // A guest that has panicked, or lost its VMM, is kept for the debugger that is looking at it.
  if (exit_->reason() == v1::EXIT_PANIC || exit_->reason() == v1::EXIT_VMM_DIED)
    debug_service_.wait_detached([this] { return end_now(); });
  if (machine_) {
    if (machine_->control) machine_->control->header().ended.store(1, std::memory_order_release);
    if (machine_->client) machine_->client->deliver(FabricKind::Shutdown, config_.self, {});
    if (machine_->vmm) {
      machine_->vmm->wait(config_.timeouts.shutdown);
      machine_->vmm->kill();
      machine_->vmm->wait(milliseconds(1000));
    }
    if (machine_->client) machine_->client->stop();
  }
  console_.close();
  v1::Event event;
  event.set_phase(v1::PHASE_ENDED);
  event.set_text(exit_->message());
  *event.mutable_exit() = *exit_;
  events_.add(std::move(event));
  // Streams end by themselves after the exit event; a client that does not read is cut off.
  server_->Shutdown(std::chrono::system_clock::now() + milliseconds(500));
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

void Agent::status(v1::StatusReply& reply) {
  reply.set_node(config_.self.value());
  reply.set_node_name(config_.node_name);
  reply.set_cluster_name(config_.cluster_name);
  reply.set_phase(events_.phase());
  reply.set_vcpus(config_.vcpus);
  reply.set_agent_pid(getpid());
  reply.set_pages_home(config_.memory_bytes >> kPageShift);
}

void Agent::faults(const v1::FaultsRequest& request, v1::FaultsReply& reply) {
  const Machine* machine = machine_view_.load(std::memory_order_acquire);
  if (machine && machine->control) read_faults(*machine->control, request.since_sequence(), request.records_max(), reply);
}

void Agent::console_input(uint8_t port, const std::string& bytes, bool end_of_file) {
  const Machine* machine = machine_view_.load(std::memory_order_acquire);
  if (!machine || !machine->client) return;
  // In pieces that fit a fabric message; an empty piece means end of file.
  for (size_t at = 0; at < bytes.size() || (end_of_file && at == bytes.size());) {
    const size_t n = std::min(bytes.size() - at, kFabricPayloadMax - 1);
    std::vector<uint8_t> payload{port};
    payload.insert(payload.end(), bytes.begin() + static_cast<ptrdiff_t>(at), bytes.begin() + static_cast<ptrdiff_t>(at + n));
    machine->client->deliver(FabricKind::ConsoleIn, config_.self, payload);
    if (n == 0) break;
    at += n;
  }
}

// --- debugger (gRPC threads)

bool Agent::debug_to_vmm(std::span<const uint8_t> message) {
  const Machine* machine = machine_view_.load(std::memory_order_acquire);
  if (!machine || !machine->client || vmm_gone_) return false;
  return machine->client->deliver(FabricKind::Debug, config_.self, message);
}

bool Agent::debug_read_page(PageId page, std::span<uint8_t, kPageSize> out) {
  const Machine* machine = machine_view_.load(std::memory_order_acquire);
  if (!machine || page.value() >= machine->control->page_count()) return false;
  PageWord& word = machine->control->word(page);
  uint32_t bits = 0;
  // A VMM that died may have left the lock behind: nobody changes the page then.
  const bool locked = word.try_lock(bits);
  if (!locked && !vmm_gone_) return false;
  if (!locked) bits = word.peek();
  const bool here = PageWord::right_of(bits) != Right::None;
  if (here && (bits & PageWord::kPresent))
    machine->memory->read(page, out.data());
  else
    std::fill(out.begin(), out.end(), uint8_t{0});
  if (locked) word.unlock(bits);
  return here;
}

void Agent::debug_page(PageId page, v1::DebugPage& reply) {
  const Machine* machine = machine_view_.load(std::memory_order_acquire);
  if (!machine || page.value() >= machine->control->page_count()) return;
  const uint32_t bits = machine->control->word(page).peek();
  static constexpr const char* kRights[] = {"I", "S", "M", "?"};
  reply.set_cache_state(kRights[static_cast<uint32_t>(PageWord::right_of(bits)) & 3]);
  reply.set_present(bits & PageWord::kPresent);
  reply.set_mapped(bits & PageWord::kMapped);
}

void Agent::debug_node(v1::DebugNode& reply) {
  reply.set_node(config_.self.value());
  reply.set_name(config_.node_name);
  reply.set_vcpus(config_.vcpus);
  const Machine* machine = machine_view_.load(std::memory_order_acquire);
  if (!machine || !machine->control) return;
  const ControlHeader& header = machine->control->header();
  reply.set_vmm_running(machine->vmm && !vmm_gone_);
  reply.set_ram_start(header.nodes[config_.self.value()].start);
  reply.set_ram_bytes(header.nodes[config_.self.value()].bytes);
  uint32_t first = 0;
  while (first < header.vcpu_count && header.vcpu_node[first] != config_.self.value()) ++first;
  reply.set_first_vcpu(first);
}

// --- the VMM ("requests" thread)

void Agent::on_fetch(PageId page, Access, VcpuId) {
  // A lone node has every right from the start: answer a confused client by letting it look again.
  PageWord& word = machine_->control->word(page);
  word.unlock(word.lock() & ~(PageWord::kAskedRead | PageWord::kAskedWrite));
}

void Agent::on_preloaded(PageId, uint32_t) {}

void Agent::on_fabric_out(FabricKind kind, NodeId to, std::span<const uint8_t> payload) {
  switch (kind) {
    case FabricKind::Power: on_power(payload); break;
    case FabricKind::ConsoleOut:
      if (!payload.empty())
        console_.append(payload[0], {reinterpret_cast<const char*>(payload.data()) + 1, payload.size() - 1});
      break;
    case FabricKind::Debug: debug_service_.on_vmm_message(payload); break;
    case FabricKind::Ready: (void)mailbox_.post(VmmReady{}); break;
    default:
      if (to == config_.self && static_cast<uint16_t>(kind) < static_cast<uint16_t>(FabricKind::Power))
        machine_->client->deliver(kind, config_.self, payload);
  }
}

void Agent::on_power(std::span<const uint8_t> payload) {
  uint32_t kind_and_code[2] = {};
  if (payload.size() < sizeof kind_and_code) return on_client_broken("the VMM sent a power event that is too short");
  std::memcpy(kind_and_code, payload.data(), sizeof kind_and_code);
  static constexpr struct {
    v1::ExitReason reason;
    const char* text;
  } kKinds[] = {{v1::EXIT_POWER_OFF, "the guest powered off"},
                {v1::EXIT_REBOOT, "the guest rebooted"},
                {v1::EXIT_PANIC, "the guest panicked"},
                {v1::EXIT_HALT, "the guest halted"}};
  if (kind_and_code[0] >= std::size(kKinds)) return on_client_broken("the VMM sent an unknown power event");
  const auto& kind = kKinds[kind_and_code[0]];
  request_end(kind.reason, kind_and_code[1], kind.text);
}

void Agent::on_client_broken(const std::string& why) { request_end(v1::EXIT_VMM_DIED, 0, why); }

}  // namespace pando::dsm

// SPDX-License-Identifier: Apache-2.0
#include "tools/observe/chrome_trace.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>

#include "tools/observe/json_writer.h"

namespace pando::observe {

namespace {

constexpr size_t kFlushBytes = 1 << 20;
// Rows of a node after those of its virtual CPUs.
constexpr uint32_t kCpuRows = 1;
constexpr uint32_t kProtocolRow = 1001, kFabricRow = 1002, kRevokeRow = 1003;
constexpr double kMessageUs = 0.5;  // a message is a point in time; arrows need something to hold on to

bool is_sent(v1::TraceKind kind) { return kind == v1::TRACE_PAGE_SENT || kind == v1::TRACE_FABRIC_SENT; }
bool is_page_message(v1::TraceKind kind) { return kind == v1::TRACE_PAGE_SENT || kind == v1::TRACE_PAGE_RECEIVED; }
bool is_message(v1::TraceKind kind) {
  return is_page_message(kind) || kind == v1::TRACE_FABRIC_SENT || kind == v1::TRACE_FABRIC_RECEIVED;
}

// Row of the process `pid`, and where on it.
struct At {
  uint32_t node = 0, row = 0;
  double us = 0;
};

class Writer {
 public:
  Writer(const v1::Recording& recording, const Naming& naming, const Sink& sink)
      : recording_(recording), naming_(naming), sink_(sink), zero_ns_(find_zero()) {}

  void write() {
    json_.open_object().member("displayTimeUnit", "ns");
    write_other();
    json_.key("traceEvents").open_array();
    pair_messages();
    for (const v1::RecordedNode& node : recording_.nodes()) {
      write_rows(node);
      for (const v1::FaultRecord& fault : node.faults()) write_fault(node, fault);
      for (const v1::TraceEvent& event : node.events()) write_event(node, event);
      write_lost(node);
    }
    json_.close_array().close_object().newline();
    sink_(json_.take());
  }

 private:
  int64_t corrected(const v1::RecordedNode& node, int64_t ns) const { return ns - node.clock_offset_ns(); }
  double us(const v1::RecordedNode& node, int64_t ns) const {
    return static_cast<double>(corrected(node, ns) - zero_ns_) / 1e3;
  }
  // The earliest moment of all.
  int64_t find_zero() const {
    int64_t zero = INT64_MAX;
    for (const v1::RecordedNode& node : recording_.nodes()) {
      for (const v1::FaultRecord& f : node.faults())
        zero = std::min(zero, corrected(node, f.monotonic_ns() - static_cast<int64_t>(f.wait_ns())));
      for (const v1::TraceEvent& e : node.events())
        zero = std::min(zero, corrected(node, e.monotonic_ns() - static_cast<int64_t>(e.duration_ns())));
    }
    return zero == INT64_MAX ? 0 : zero;
  }

  void write_other() {
    json_.key("otherData").open_object().member("cluster", recording_.cluster());
    json_.member("begun_unix_ns", recording_.begun_unix_ns()).member("duration_ns", recording_.duration_ns());
    for (const v1::RecordedNode& node : recording_.nodes()) {
      const std::string name = "node " + node.name() + " ";
      json_.member(name + "faults_lost", node.faults_lost()).member(name + "events_lost", node.events_lost());
      json_.member(name + "clock_offset_ns", node.clock_offset_ns());
      json_.member(name + "clock_error_ns", node.clock_error_ns());
      if (!node.error().empty()) json_.member(name + "error", node.error());
    }
    json_.close_object();
  }

  // Begins an event and leaves its object open.
  JsonWriter& begin(const char* phase, const At& at) {
    if (json_.str().size() > kFlushBytes) sink_(json_.take());
    return json_.open_object().member("ph", phase).member("pid", at.node + 1).member("tid", at.row).member("ts", at.us);
  }
  JsonWriter& span(const At& at, double duration_us, const std::string& name, const char* category) {
    return begin("X", at).member("dur", duration_us).member("name", name).member("cat", category);
  }
  void describe_row(uint32_t node, uint32_t row, const char* what, const std::string& name) {
    begin("M", {node, row, 0}).member("name", what).key("args").open_object().member("name", name).close_object();
    json_.close_object();
  }

  void write_rows(const v1::RecordedNode& node) {
    describe_row(node.id(), 0, "process_name", "node " + node.name());
    begin("M", {node.id(), 0, 0}).member("name", "process_sort_index").key("args").open_object();
    json_.member("sort_index", node.id()).close_object().close_object();
    std::set<uint32_t> cpus;
    for (const v1::FaultRecord& fault : node.faults()) cpus.insert(fault.vcpu());
    for (const uint32_t cpu : cpus)
      describe_row(node.id(), kCpuRows + cpu, "thread_name", "cpu" + std::to_string(cpu) + " waits for pages");
    describe_row(node.id(), kProtocolRow, "thread_name", "messages about pages");
    describe_row(node.id(), kFabricRow, "thread_name", "interrupts and shoot-downs");
    describe_row(node.id(), kRevokeRow, "thread_name", "pages taken away");
  }

  void write_fault(const v1::RecordedNode& node, const v1::FaultRecord& fault) {
    const uint64_t mm = fault.user() ? fault.mm() : 0;
    const Code code{fault.rip(), mm};
    const bool lock = naming_.is_lock(code);
    const At at{node.id(), kCpuRows + fault.vcpu(),
                us(node, fault.monotonic_ns() - static_cast<int64_t>(fault.wait_ns()))};
    const std::string name =
        (lock ? "lock " : fault.write() ? "write " : "read ") + naming_.of_address(fault.address(), mm);
    span(at, static_cast<double>(fault.wait_ns()) / 1e3, name, lock ? "lock" : "fault").key("args").open_object();
    json_.key("page").hex(fault.page()).key("address").hex(fault.address()).member("code", naming_.of_code(code));
    json_.close_object().close_object();
  }

  // Type, page, request and requester name a message; repeated ones arrive in the order they were sent.
  using Key = std::tuple<uint32_t, uint32_t, bool, uint32_t, uint64_t, uint32_t, uint32_t, uint64_t>;
  static Key key_of(const v1::RecordedNode& node, const v1::TraceEvent& e) {
    const uint32_t from = is_sent(e.kind()) ? node.id() : e.peer(), to = is_sent(e.kind()) ? e.peer() : node.id();
    return {from, to, is_page_message(e.kind()), e.type(), e.page(), e.request(), e.requester(), e.detail()};
  }
  struct Sent {
    uint32_t node;
    uint64_t sequence;
    int64_t at_ns;  // corrected
    uint64_t error_ns;
  };
  // Gives each message that was seen at both ends the number of its arrow.
  void pair_messages() {
    std::map<Key, std::deque<Sent>> waiting;
    for (const v1::RecordedNode& node : recording_.nodes())
      for (const v1::TraceEvent& e : node.events())
        if (is_message(e.kind()) && is_sent(e.kind()))
          waiting[key_of(node, e)].push_back(
              {node.id(), e.sequence(), corrected(node, e.monotonic_ns()), node.clock_error_ns()});
    uint64_t arrow = 0;
    for (const v1::RecordedNode& node : recording_.nodes()) {
      for (const v1::TraceEvent& e : node.events()) {
        if (!is_message(e.kind()) || is_sent(e.kind())) continue;
        auto it = waiting.find(key_of(node, e));
        if (it == waiting.end() || it->second.empty()) continue;
        const Sent sent = it->second.front();
        // Sent later than received: the sending of this one was lost, that is the next one's.
        const auto error = static_cast<int64_t>(std::min<uint64_t>(sent.error_ns + node.clock_error_ns(), INT64_MAX / 2));
        if (sent.at_ns - error > corrected(node, e.monotonic_ns())) continue;
        it->second.pop_front();
        ++arrow;
        arrows_[{sent.node, sent.sequence}] = arrow;
        arrows_[{node.id(), e.sequence()}] = arrow;
      }
    }
  }

  static std::string name_of_message(const v1::TraceEvent& e) {
    // Payload of an Ipi: u32 cpu, u32 vector (vmm/machine.cc).
    if (!is_page_message(e.kind()) && e.type_name() == "Ipi")
      return "Ipi cpu" + std::to_string(e.detail() & 0xffffffff) + " vector " + std::to_string(e.detail() >> 32);
    return e.type_name();
  }

  void write_message(const v1::RecordedNode& node, const v1::TraceEvent& e) {
    const bool sent = is_sent(e.kind()), page = is_page_message(e.kind());
    const At at{node.id(), page ? kProtocolRow : kFabricRow, us(node, e.monotonic_ns())};
    span(at, kMessageUs, name_of_message(e) + (sent ? " to " : " from ") + naming_.of_node(e.peer()),
         page ? "message" : "fabric").key("args").open_object();
    if (page) json_.key("page").hex(e.page()).member("request", e.request()).member("requester", naming_.of_node(e.requester()));
    json_.close_object().close_object();
    const auto arrow = arrows_.find({node.id(), e.sequence()});
    if (arrow == arrows_.end()) return;
    begin(sent ? "s" : "f", at).member("id", arrow->second).member("name", e.type_name()).member("cat", "arrow");
    if (!sent) json_.member("bp", "e");
    json_.close_object();
  }

  void write_async(const At& begin_at, double end_us, const std::string& name, const char* category) {
    const uint64_t id = ++async_;
    begin("b", begin_at).member("id", id).member("name", name).member("cat", category).close_object();
    begin("e", {begin_at.node, begin_at.row, end_us}).member("id", id).member("name", name).member("cat", category).close_object();
  }

  // A shoot-down lasts from the request to its last acknowledgement; both begin with the number of the request.
  void follow_shootdown(const v1::RecordedNode& node, const v1::TraceEvent& e) {
    const std::string& type = e.type_name();
    if (e.kind() == v1::TRACE_FABRIC_SENT && (type == "MmUnmap" || type == "MmResync" || type == "KernelUnmap")) {
      if (e.detail() != 0) shootdowns_.try_emplace({node.id(), e.detail(), e.peer()}, type, us(node, e.monotonic_ns()));
    } else if (e.kind() == v1::TRACE_FABRIC_RECEIVED && type == "Ack") {
      const auto it = shootdowns_.find({node.id(), e.detail(), e.peer()});
      if (it == shootdowns_.end()) return;
      const auto& [what, begun] = it->second;
      write_async({node.id(), kFabricRow, begun}, us(node, e.monotonic_ns()), what + " on " + naming_.of_node(e.peer()),
                  "shoot-down");
      shootdowns_.erase(it);
    }
  }

  void write_event(const v1::RecordedNode& node, const v1::TraceEvent& e) {
    const double begun = us(node, e.monotonic_ns() - static_cast<int64_t>(e.duration_ns()));
    switch (e.kind()) {
      case v1::TRACE_REVOKED:
        span({node.id(), kRevokeRow, begun}, static_cast<double>(e.duration_ns()) / 1e3, "take away", "revoke");
        json_.key("args").open_object().key("page").hex(e.page()).close_object().close_object();
        break;
      case v1::TRACE_GRANTED:
        write_async({node.id(), kProtocolRow, begun}, us(node, e.monotonic_ns()), "page request", "request");
        break;
      default:
        if (!is_message(e.kind())) break;
        write_message(node, e);
        follow_shootdown(node, e);
    }
  }

  void write_lost(const v1::RecordedNode& node) {
    begin("C", {node.id(), 0, static_cast<double>(recording_.duration_ns()) / 1e3}).member("name", "lost records");
    json_.key("args").open_object().member("faults", node.faults_lost()).member("events", node.events_lost());
    json_.close_object().close_object();
  }

  const v1::Recording& recording_;
  const Naming& naming_;
  const Sink& sink_;
  const int64_t zero_ns_;
  JsonWriter json_;
  std::map<std::pair<uint32_t, uint64_t>, uint64_t> arrows_;  // node, sequence -> number
  std::map<std::tuple<uint32_t, uint64_t, uint32_t>, std::pair<std::string, double>> shootdowns_;
  uint64_t async_ = 0;
};

}  // namespace

void write_chrome_trace(const v1::Recording& recording, const Naming& naming, const Sink& sink) {
  Writer(recording, naming, sink).write();
}

}  // namespace pando::observe

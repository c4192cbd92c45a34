// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/debug_service.h"

#include <cerrno>
#include <cstring>
#include <deque>

#include "dsm/rpc/credentials.h"

namespace pando::dsm {

namespace {

using grpc::Status;
using grpc::StatusCode;

constexpr size_t kRepliesMax = 256;  // a debugger that reads more slowly is cut off

bool is_for_agent(uint32_t operation) {
  return operation >= static_cast<uint32_t>(DebugOperation::ReadHeld) &&
         operation < static_cast<uint32_t>(DebugOperation::Stopped);
}

}  // namespace

class DebugService::Reactor final : public grpc::ServerBidiReactor<v1::DebugRequest, v1::DebugReply> {
 public:
  Reactor(DebugService& service, const Status& refused) : service_(service) {
    if (!refused.ok()) {
      end(refused);
      return;
    }
    if (!service_.attach(this)) {
      end({StatusCode::ALREADY_EXISTS, "another debugger is attached to this cluster: detach it first"});
      return;
    }
    v1::DebugReply greeting;
    greeting.set_operation(static_cast<uint32_t>(DebugOperation::Node));
    service_.describe_node(*greeting.mutable_node());
    post(std::move(greeting));
    StartRead(&request_);
  }

  // Any thread.
  void post(v1::DebugReply reply) {
    const std::lock_guard guard(mutex_);
    if (replies_.size() >= kRepliesMax) overflow_ = true;
    else replies_.push_back(std::move(reply));
    advance();
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      const std::lock_guard guard(mutex_);
      closed_ = true;
      return advance();
    }
    if (is_for_agent(request_.operation()) || !service_.pass_on(request_)) {
      v1::DebugReply reply;
      service_.answer(request_, reply);
      post(std::move(reply));
    }
    StartRead(&request_);
  }
  void OnWriteDone(bool ok) override {
    const std::lock_guard guard(mutex_);
    writing_ = false;
    closed_ |= !ok;
    advance();
  }
  void OnCancel() override {
    const std::lock_guard guard(mutex_);
    closed_ = true;
    advance();
  }
  void OnDone() override {
    service_.detach(this);
    delete this;
  }

 private:
  void end(const Status& status) {
    finished_ = true;
    Finish(status);
  }
  void advance() {
    if (writing_ || finished_) return;
    if (overflow_) return end({StatusCode::RESOURCE_EXHAUSTED, "the debugger does not read"});
    if (closed_) return end(Status::OK);
    if (replies_.empty()) return;
    reply_ = std::move(replies_.front());
    replies_.pop_front();
    writing_ = true;
    StartWrite(&reply_);
  }

  DebugService& service_;
  std::mutex mutex_;  // after the service's
  std::deque<v1::DebugReply> replies_;
  bool writing_ = false, finished_ = false, closed_ = false, overflow_ = false;
  v1::DebugRequest request_;
  v1::DebugReply reply_;
};

grpc::ServerBidiReactor<v1::DebugRequest, v1::DebugReply>* DebugService::Session(
    grpc::CallbackServerContext* context) {
  const bool operator_calls = is_caller(*context->auth_context(), kOperatorName);
  return new Reactor(*this, operator_calls ? Status::OK
                                           : Status(StatusCode::PERMISSION_DENIED,
                                                    "only the operator's certificate may use the Debug service"));
}

bool DebugService::attach(Reactor* reactor) {
  const std::lock_guard guard(mutex_);
  if (session_ != nullptr) return false;
  session_ = reactor;
  return true;
}

void DebugService::detach(Reactor* reactor) {
  {
    const std::lock_guard guard(mutex_);
    if (session_ != reactor) return;
  }
  // Before the next debugger can say anything.
  DebugHeader header{};
  header.operation = static_cast<uint16_t>(DebugOperation::Detach);
  backend_.debug_to_vmm({reinterpret_cast<const uint8_t*>(&header), sizeof header});
  const std::lock_guard guard(mutex_);
  session_ = nullptr;
  changed_.notify_all();
}

void DebugService::on_vmm_message(std::span<const uint8_t> payload) {
  DebugHeader header;
  if (payload.size() < sizeof header || payload.size() > sizeof header + kDebugDataMax) return;
  std::memcpy(&header, payload.data(), sizeof header);
  v1::DebugReply reply;
  reply.set_sequence(header.sequence);
  reply.set_operation(header.operation);
  reply.set_vcpu(header.vcpu);
  reply.set_address(header.address);
  reply.set_status(header.status);
  reply.set_data(payload.data() + sizeof header, payload.size() - sizeof header);
  const std::lock_guard guard(mutex_);
  if (session_ != nullptr) session_->post(std::move(reply));
}

void DebugService::on_end(const v1::ExitStatus& status) {
  {
    const std::lock_guard guard(mutex_);
    ended_ = status;
  }
  v1::DebugReply reply;
  reply.set_operation(static_cast<uint32_t>(DebugOperation::Node));
  describe_node(*reply.mutable_node());
  const std::lock_guard guard(mutex_);
  if (session_ != nullptr) session_->post(std::move(reply));
}

void DebugService::describe_node(v1::DebugNode& node) const {
  backend_.debug_node(node);
  const std::lock_guard guard(mutex_);
  if (ended_) *node.mutable_exit() = *ended_;
}

bool DebugService::pass_on(const v1::DebugRequest& request) {
  if (request.data().size() > kDebugDataMax) return false;
  const DebugHeader header{request.sequence(),
                           static_cast<uint16_t>(request.operation()),
                           static_cast<uint16_t>(request.vcpu()),
                           0,
                           request.bytes(),
                           request.address()};
  std::vector<uint8_t> message(sizeof header + request.data().size());
  std::memcpy(message.data(), &header, sizeof header);
  std::memcpy(message.data() + sizeof header, request.data().data(), request.data().size());
  return backend_.debug_to_vmm(message);
}

// What the agent says itself, the refusal of what it could not pass on included.
void DebugService::answer(const v1::DebugRequest& request, v1::DebugReply& reply) {
  reply.set_sequence(request.sequence());
  reply.set_operation(request.operation());
  reply.set_vcpu(request.vcpu());
  reply.set_address(request.address());
  switch (static_cast<DebugOperation>(request.operation())) {
    case DebugOperation::ReadHeld: reply.set_status(read_held(request, *reply.mutable_data())); break;
    case DebugOperation::Page:
      backend_.debug_page(page_of(GuestPhys(request.address())), *reply.mutable_page());
      break;
    case DebugOperation::Node: describe_node(*reply.mutable_node()); break;
    default: reply.set_status(-ENOTCONN);
  }
}

int32_t DebugService::read_held(const v1::DebugRequest& request, std::string& out) {
  const uint64_t offset = request.address() % kPageSize;
  if (request.address() >> kPageShift > UINT32_MAX || request.bytes() > kPageSize - offset) return -EFAULT;
  std::array<uint8_t, kPageSize> page;
  if (!backend_.debug_read_page(page_of(GuestPhys(request.address())), page)) return -ENODATA;
  out.assign(reinterpret_cast<const char*>(page.data()) + offset, request.bytes());
  return 0;
}

}  // namespace pando::dsm

// SPDX-License-Identifier: Apache-2.0
#include "tools/gdb/debug_link.h"

#include <pthread.h>

#include <random>

#include "base/error.h"

namespace pando::gdb {

namespace {

constexpr std::chrono::seconds kReplyLimit{8};  // longer than the VMM's own limit for a stop
constexpr std::chrono::seconds kCloseLimit{2};

std::shared_ptr<grpc::ChannelCredentials> credentials(const v1::TlsMaterial& tls) {
  if (tls.ca_certificate().empty()) return grpc::InsecureChannelCredentials();
  return grpc::SslCredentials({tls.ca_certificate(), tls.private_key(), tls.certificate()});
}

grpc::ChannelArguments channel_arguments(uint32_t node, const v1::TlsMaterial& tls) {
  grpc::ChannelArguments out;
  out.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);          // agents are never behind the user's web proxy
  out.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a debugger that comes again gets a fresh connection
  // The certificate says "node-2", whatever address leads there.
  if (!tls.ca_certificate().empty()) out.SetSslTargetNameOverride("node-" + std::to_string(node));
  return out;
}

}  // namespace

DebugLink::DebugLink(NodeAddress node, const v1::TlsMaterial& tls, Event on_event)
    : node_(std::move(node)), on_event_(std::move(on_event)) {
  stub_ = v1::Debug::NewStub(
      grpc::CreateCustomChannel(node_.address, credentials(tls), channel_arguments(node_.id, tls)));
  stream_ = stub_->Session(&context_);
  // Replies to a debugger that was here before must not be taken for ours.
  next_ = std::random_device{}() & 0x7fffffff;
  reader_ = std::thread([this] { run_reader(); });
  pthread_setname_np(reader_.native_handle(), "debug-reader");
}

DebugLink::~DebugLink() {
  close();
  context_.TryCancel();
  if (reader_.joinable()) reader_.join();
}

void DebugLink::run_reader() {
  v1::DebugReply reply;
  while (stream_->Read(&reply)) {
    bool is_event = false;
    {
      const std::lock_guard guard(mutex_);
      if (!greeting_ && reply.has_node()) greeting_ = reply.node();
      else if (reply.sequence() == 0) is_event = true;
      else if (awaited_.count(reply.sequence())) replies_[reply.sequence()] = reply;
      changed_.notify_all();
    }
    if (is_event) on_event_(node_.id, reply);
  }
  const grpc::Status status = stream_->Finish();
  {
    const std::lock_guard guard(mutex_);
    over_ = true;
    status_ = status;
    changed_.notify_all();
  }
  on_event_(node_.id, {});
}

v1::DebugNode DebugLink::greet(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, limit, [&] { return greeting_ || over_; });
  if (greeting_) return *greeting_;
  if (over_ && status_.error_code() == grpc::StatusCode::ALREADY_EXISTS) throw UserError(status_.error_message());
  throw UserError("cannot debug node " + node_.name + " (" + node_.address + "): " +
                  (over_ ? status_.error_message() : "its agent does not answer"));
}

uint32_t DebugLink::begin(dsm::DebugOperation operation, uint32_t vcpu, uint64_t address, uint32_t bytes,
                          std::string data) {
  v1::DebugRequest request;
  {
    const std::lock_guard guard(mutex_);
    if (over_) return 0;
    if (++next_ == 0) ++next_;
    request.set_sequence(next_);
    awaited_.insert(next_);
  }
  request.set_operation(static_cast<uint32_t>(operation));
  request.set_vcpu(vcpu);
  request.set_address(address);
  request.set_bytes(bytes);
  request.set_data(std::move(data));
  return stream_->Write(request) ? request.sequence() : 0;
}

std::optional<v1::DebugReply> DebugLink::finish(uint32_t sequence) {
  if (sequence == 0) return std::nullopt;
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kReplyLimit, [&] { return replies_.count(sequence) || over_; });
  awaited_.erase(sequence);
  const auto found = replies_.find(sequence);
  if (found == replies_.end()) return std::nullopt;
  v1::DebugReply reply = std::move(found->second);
  replies_.erase(found);
  return reply;
}

void DebugLink::close() {
  {
    const std::lock_guard guard(mutex_);
    if (over_) return;
  }
  stream_->WritesDone();
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kCloseLimit, [&] { return over_; });
}

bool DebugLink::alive() const {
  const std::lock_guard guard(mutex_);
  return !over_;
}

}  // namespace pando::gdb

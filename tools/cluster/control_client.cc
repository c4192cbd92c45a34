// SPDX-License-Identifier: Apache-2.0
#include "tools/cluster/control_client.h"

#include <unistd.h>

#include "base/error.h"
#include "tools/tls/authority.h"

namespace pando::cluster {
namespace {

constexpr size_t kChunk = 512 * 1024;

std::shared_ptr<grpc::ChannelCredentials> credentials(const v1::TlsMaterial& tls) {
  if (tls.ca_certificate().empty()) return grpc::InsecureChannelCredentials();
  return grpc::SslCredentials({tls.ca_certificate(), tls.private_key(), tls.certificate()});
}

grpc::ChannelArguments arguments(size_t node_id, const v1::TlsMaterial& tls) {
  grpc::ChannelArguments out;
  out.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);  // agents are never behind the user's web proxy
  out.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  out.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 50);
  out.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  out.SetMaxReceiveMessageSize(64 << 20);
  out.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL,
             1);  // nodes share addresses in tests, never connections
  if (!tls.ca_certificate().empty()) out.SetSslTargetNameOverride(tls::node_name(node_id));
  return out;
}

}  // namespace

ControlClient::ControlClient(std::string node_name, size_t node_id, const std::string& address,
                             const v1::TlsMaterial& tls)
    : node_name_(std::move(node_name)),
      address_(address) {
  const auto channel = grpc::CreateCustomChannel(address, credentials(tls), arguments(node_id, tls));
  stub_ = v1::Control::NewStub(channel);
  observe_ = v1::Observe::NewStub(channel);
}

void ControlClient::require(const grpc::Status& status, const std::string& what) const {
  if (status.ok()) return;
  std::string why = status.error_message().empty() ? "no reason given" : status.error_message();
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) why = "no answer in time";
  throw ControlError(status.error_code(),
                     "node " + node_name_ + " (" + address_ + "): " + what + ": " + why);
}

template <class Call>
void ControlClient::unary(const char* what, Limit limit, Call call) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::ceil<std::chrono::milliseconds>(limit));
  context.set_wait_for_ready(true);
  {
    const std::lock_guard guard(mutex_);
    if (cancelled_)
      throw ControlError(grpc::StatusCode::CANCELLED, "node " + node_name_ + ": cancelled");
    running_ = &context;
  }
  const grpc::Status status = call(context);
  {
    const std::lock_guard guard(mutex_);
    running_ = nullptr;
  }
  require(status, what);
}

void ControlClient::cancel() {
  const std::lock_guard guard(mutex_);
  cancelled_ = true;
  if (running_ != nullptr) running_->TryCancel();
}

uint64_t ControlClient::ship(const Image& image, Limit limit) {
  v1::HasImageRequest request;
  v1::HasImageReply reply;
  request.set_sha256(image.sha256);
  request.set_path(image.path);
  unary("asking for an image", limit,
        [&](grpc::ClientContext& context) { return stub_->HasImage(&context, request, &reply); });
  if (reply.present()) return 0;
  v1::PutImageReply stored;
  unary("shipping an image", limit, [&](grpc::ClientContext& context) {
    const auto writer = stub_->PutImage(&context, &stored);
    v1::ImageChunk chunk;
    chunk.set_sha256(image.sha256);
    chunk.set_total_bytes(image.bytes);
    std::string buffer(kChunk, '\0');
    bool open = true;
    for (uint64_t at = 0; open && at < image.bytes;) {
      const ssize_t got =
          ::pread(image.fd.get(), buffer.data(), buffer.size(), static_cast<off_t>(at));
      if (got <= 0) {
        context.TryCancel();  // the file changed under us; the digest would not fit
        break;
      }
      chunk.set_data(buffer.data(), static_cast<size_t>(got));
      open = writer->Write(chunk);
      chunk.Clear();
      at += static_cast<uint64_t>(got);
    }
    writer->WritesDone();
    return writer->Finish();
  });
  return image.bytes;
}

void ControlClient::start(const v1::Plan& plan, Limit limit) {
  v1::StartReply reply;
  unary("starting the node", limit,
        [&](grpc::ClientContext& context) { return stub_->Start(&context, plan, &reply); });
}

v1::StatusReply ControlClient::status(Limit limit) {
  v1::StatusReply reply;
  unary("asking for the status", limit,
        [&](grpc::ClientContext& context) { return stub_->Status(&context, {}, &reply); });
  return reply;
}

void ControlClient::shutdown(bool force, const std::string& reason, Limit limit) {
  v1::ShutdownRequest request;
  v1::ShutdownReply reply;
  request.set_force(force);
  request.set_reason(reason);
  unary("shutting down", limit,
        [&](grpc::ClientContext& context) { return stub_->Shutdown(&context, request, &reply); });
}

v1::FaultsReply ControlClient::faults(uint64_t since_sequence, Limit limit) {
  v1::FaultsRequest request;
  v1::FaultsReply reply;
  request.set_since_sequence(since_sequence);
  unary("asking for fault records", limit,
        [&](grpc::ClientContext& context) { return stub_->Faults(&context, request, &reply); });
  return reply;
}

v1::AddressSpacesReply ControlClient::address_spaces(Limit limit) {
  v1::AddressSpacesReply reply;
  unary("asking for address spaces", limit,
        [&](grpc::ClientContext& context) { return observe_->AddressSpaces(&context, {}, &reply); });
  return reply;
}

v1::TraceReply ControlClient::trace(const v1::TraceRequest& request, Limit limit) {
  v1::TraceReply reply;
  unary("tracing", limit,
        [&](grpc::ClientContext& context) { return observe_->Trace(&context, request, &reply); });
  return reply;
}

v1::PeekReply ControlClient::peek(const v1::PeekRequest& request, Limit limit) {
  v1::PeekReply reply;
  unary("reading guest memory", limit,
        [&](grpc::ClientContext& context) { return observe_->Peek(&context, request, &reply); });
  return reply;
}

}  // namespace pando::cluster

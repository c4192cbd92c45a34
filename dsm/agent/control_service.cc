// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/control_service.h"

#include <optional>

#include "base/error.h"
#include "dsm/rpc/credentials.h"

namespace pando::dsm {

namespace {

using grpc::CallbackServerContext;
using grpc::Status;
using grpc::StatusCode;

constexpr size_t kConsoleInputMax = 64 << 10;

Status refusal(const CallbackServerContext& context) {
  if (is_caller(*context.auth_context(), kOperatorName)) return Status::OK;
  return {StatusCode::PERMISSION_DENIED, "only the operator's certificate may use the Control service"};
}

grpc::ServerUnaryReactor* finish(CallbackServerContext* context, const Status& status) {
  auto* reactor = context->DefaultReactor();
  reactor->Finish(status);
  return reactor;
}

class PutImageReactor final : public grpc::ServerReadReactor<v1::ImageChunk> {
 public:
  PutImageReactor(ImageStore& images, v1::PutImageReply* reply, const Status& refused)
      : images_(images), reply_(reply) {
    if (refused.ok())
      StartRead(&chunk_);
    else
      Finish(refused);
  }

  void OnReadDone(bool ok) override {
    const Status status = ok ? take_chunk() : complete();
    if (ok && status.ok())
      StartRead(&chunk_);
    else
      Finish(status);
  }
  void OnDone() override { delete this; }

 private:
  Status take_chunk() try {
    if (!upload_) {
      if (!is_sha256(chunk_.sha256())) return {StatusCode::INVALID_ARGUMENT, "image: sha256 is no SHA-256"};
      if (chunk_.total_bytes() > kImageBytesMax) return {StatusCode::INVALID_ARGUMENT, "image: too big"};
      upload_.emplace(chunk_.sha256(), chunk_.total_bytes());
    }
    const std::string wrong = upload_->add(chunk_.data());
    return wrong.empty() ? Status::OK : Status(StatusCode::INVALID_ARGUMENT, wrong);
  } catch (const HostError& e) {
    return {StatusCode::RESOURCE_EXHAUSTED, e.what()};
  }

  Status complete() try {
    if (!upload_) return {StatusCode::INVALID_ARGUMENT, "image: nothing was sent"};
    const std::string wrong = upload_->finish();
    if (!wrong.empty()) return {StatusCode::INVALID_ARGUMENT, wrong};
    reply_->set_bytes(upload_->bytes());
    if (!images_.put(upload_->sha256(), upload_->take_fd()))
      return {StatusCode::RESOURCE_EXHAUSTED, "image: the agent keeps too many already"};
    return Status::OK;
  } catch (const HostError& e) {
    return {StatusCode::RESOURCE_EXHAUSTED, e.what()};
  }

  ImageStore& images_;
  v1::PutImageReply* reply_;
  v1::ImageChunk chunk_;
  std::optional<ImageUpload> upload_;
};

// Both streams below write one message after the other, as they come.  Lock order: the log's (hub's) list of readers,
// then the reactor's mutex, then the log's (hub's) content.
class EventsReactor final : public grpc::ServerWriteReactor<v1::Event>, EventLog::Reader {
 public:
  EventsReactor(EventLog& log, const Status& refused) : log_(log) {
    if (!refused.ok()) {
      finished_ = true;
      Finish(refused);
      return;
    }
    log_.attach(this);
    on_new_event();
  }
  void on_new_event() override {
    const std::lock_guard guard(mutex_);
    advance(Status::OK);
  }
  void OnWriteDone(bool ok) override {
    const std::lock_guard guard(mutex_);
    writing_ = false;
    advance(ok ? Status::OK : Status::CANCELLED);
  }
  void OnCancel() override {
    const std::lock_guard guard(mutex_);
    cancelled_ = true;
    advance(Status::CANCELLED);
  }
  void OnDone() override {
    log_.detach(this);
    delete this;
  }

 private:
  void advance(const Status& status) {
    if (writing_ || finished_) return;
    const bool last_was_exit = next_ > 0 && event_.has_exit();
    if (!status.ok() || cancelled_ || last_was_exit) {
      finished_ = true;
      Finish(last_was_exit ? Status::OK : Status::CANCELLED);
    } else if (log_.read(next_, [&](const v1::Event& e) { event_ = e; })) {
      ++next_;
      writing_ = true;
      StartWrite(&event_);
    }
  }

  EventLog& log_;
  std::mutex mutex_;
  size_t next_ = 0;
  bool writing_ = false, finished_ = false, cancelled_ = false;
  v1::Event event_;
};

class ConsoleReactor final : public grpc::ServerBidiReactor<v1::ConsoleInput, v1::ConsoleOutput>, ConsoleHub::Reader {
 public:
  ConsoleReactor(ControlBackend& backend, ConsoleHub& hub, const Status& refused) : backend_(backend), hub_(hub) {
    if (!refused.ok()) {
      finished_ = true;
      Finish(refused);
      return;
    }
    hub_.attach(this);
    StartRead(&input_);
  }
  void on_output() override {
    const std::lock_guard guard(mutex_);
    advance();
  }
  void OnReadDone(bool ok) override {
    if (!ok) return;  // half-closed by the client: it may go on listening
    if (!greeted_) greet();
    const bool wanted = input_.port() >= 0 && input_.port() < kConsolePorts && input_.data().size() <= kConsoleInputMax;
    if (wanted && !read_only_ && (!input_.data().empty() || input_.end_of_file()))
      backend_.console_input(static_cast<uint8_t>(input_.port()), input_.data(), input_.end_of_file());
    StartRead(&input_);
  }
  void OnWriteDone(bool ok) override {
    const std::lock_guard guard(mutex_);
    writing_ = false;
    cancelled_ |= !ok;
    advance();
  }
  void OnCancel() override {
    const std::lock_guard guard(mutex_);
    cancelled_ = true;
    advance();
  }
  void OnDone() override {
    hub_.detach(this);
    delete this;
  }

 private:
  // The first message says what the client wants; nothing is written before it.
  void greet() {
    read_only_ = input_.read_only();
    const std::lock_guard guard(mutex_);
    greeted_ = true;
    if (input_.ports() != 0) cursor_.ports = input_.ports();
    advance();
  }
  void advance() {
    if (writing_ || finished_ || (!greeted_ && !cancelled_)) return;
    const ConsoleHub::Next next = cancelled_ ? ConsoleHub::Next::Closed : hub_.next(cursor_, output_);
    if (next == ConsoleHub::Next::Got) {
      writing_ = true;
      StartWrite(&output_);
    } else if (next == ConsoleHub::Next::Closed) {
      finished_ = true;
      Finish(cancelled_ ? Status::CANCELLED : Status::OK);
    }
  }

  ControlBackend& backend_;
  ConsoleHub& hub_;
  std::mutex mutex_;
  ConsoleHub::Cursor cursor_;
  bool greeted_ = false, read_only_ = false;  // written by the reading callbacks only; greeted_ under mutex_
  bool writing_ = false, finished_ = false, cancelled_ = false;
  v1::ConsoleInput input_;
  v1::ConsoleOutput output_;
};

}  // namespace

grpc::ServerUnaryReactor* ControlService::HasImage(CallbackServerContext* context, const v1::HasImageRequest* request,
                                                   v1::HasImageReply* reply) {
  const grpc::Status refused = refusal(*context);
  if (!refused.ok()) return finish(context, refused);
  if (!is_sha256(request->sha256())) return finish(context, {StatusCode::INVALID_ARGUMENT, "image: sha256 is no SHA-256"});
  try {
    reply->set_present(images_.has(request->sha256()) ||
                       (!request->path().empty() && images_.take_file(request->sha256(), request->path())));
  } catch (const HostError& e) {
    return finish(context, {StatusCode::RESOURCE_EXHAUSTED, e.what()});
  }
  return finish(context, grpc::Status::OK);
}

grpc::ServerReadReactor<v1::ImageChunk>* ControlService::PutImage(CallbackServerContext* context,
                                                                  v1::PutImageReply* reply) {
  return new PutImageReactor(images_, reply, refusal(*context));
}

grpc::ServerUnaryReactor* ControlService::Start(CallbackServerContext* context, const v1::Plan* plan, v1::StartReply*) {
  const grpc::Status refused = refusal(*context);
  if (!refused.ok()) return finish(context, refused);
  const std::string wrong = backend_.start(*plan);
  return finish(context, wrong.empty() ? grpc::Status::OK : grpc::Status(StatusCode::FAILED_PRECONDITION, wrong));
}

grpc::ServerBidiReactor<v1::ConsoleInput, v1::ConsoleOutput>* ControlService::Console(CallbackServerContext* context) {
  return new ConsoleReactor(backend_, console_, refusal(*context));
}

grpc::ServerWriteReactor<v1::Event>* ControlService::Events(CallbackServerContext* context, const v1::EventsRequest*) {
  return new EventsReactor(events_, refusal(*context));
}

grpc::ServerUnaryReactor* ControlService::Status(CallbackServerContext* context, const v1::StatusRequest*,
                                                 v1::StatusReply* reply) {
  const grpc::Status refused = refusal(*context);
  if (refused.ok()) backend_.status(*reply);
  return finish(context, refused);
}

grpc::ServerUnaryReactor* ControlService::Shutdown(CallbackServerContext* context, const v1::ShutdownRequest* request,
                                                   v1::ShutdownReply*) {
  const grpc::Status refused = refusal(*context);
  if (refused.ok()) backend_.shutdown(*request);
  return finish(context, refused);
}

grpc::ServerUnaryReactor* ControlService::Faults(CallbackServerContext* context, const v1::FaultsRequest* request,
                                                 v1::FaultsReply* reply) {
  const grpc::Status refused = refusal(*context);
  if (refused.ok()) backend_.faults(*request, *reply);
  return finish(context, refused);
}

}  // namespace pando::dsm

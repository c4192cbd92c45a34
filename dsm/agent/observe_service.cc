// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/observe_service.h"

#include "dsm/rpc/credentials.h"

namespace pando::dsm {

namespace {

using grpc::CallbackServerContext;

// Answers at once, if the caller is the operator.
template <class Answer>
grpc::ServerUnaryReactor* answer(CallbackServerContext* context, Answer&& fill_in) {
  grpc::Status status;
  if (is_caller(*context->auth_context(), kOperatorName))
    fill_in();
  else
    status = {grpc::StatusCode::PERMISSION_DENIED, "only the operator's certificate may use the Observe service"};
  auto* reactor = context->DefaultReactor();
  reactor->Finish(status);
  return reactor;
}

}  // namespace

grpc::ServerUnaryReactor* ObserveService::AddressSpaces(CallbackServerContext* context, const v1::AddressSpacesRequest*,
                                                        v1::AddressSpacesReply* reply) {
  return answer(context, [&] { backend_.address_spaces(*reply); });
}

grpc::ServerUnaryReactor* ObserveService::Trace(CallbackServerContext* context, const v1::TraceRequest* request,
                                                v1::TraceReply* reply) {
  return answer(context, [&] { backend_.trace(*request, *reply); });
}

grpc::ServerUnaryReactor* ObserveService::Peek(CallbackServerContext* context, const v1::PeekRequest* request,
                                               v1::PeekReply* reply) {
  return answer(context, [&] { backend_.peek(*request, *reply); });
}

}  // namespace pando::dsm

// SPDX-License-Identifier: Apache-2.0
// Mutual TLS between agents, and between operator and agent; plaintext without material.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "base/types.h"
#include "proto/node.pb.h"

namespace pando::dsm {

// `tls` without a CA certificate means plaintext.
std::shared_ptr<grpc::ServerCredentials> server_credentials(const v1::TlsMaterial& tls);
std::shared_ptr<grpc::ChannelCredentials> channel_credentials(const v1::TlsMaterial& tls);

std::string certificate_name(NodeId node);  // "node-3"
inline constexpr const char* kOperatorName = "operator";

// True if the caller proved to be `name`, or if the connection is plaintext (which the configuration allowed).
bool is_caller(const grpc::AuthContext& caller, const std::string& name);

}  // namespace pando::dsm

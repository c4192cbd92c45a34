// SPDX-License-Identifier: Apache-2.0
#include "dsm/rpc/credentials.h"

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <algorithm>

namespace pando::dsm {

std::shared_ptr<grpc::ServerCredentials> server_credentials(const v1::TlsMaterial& tls) {
  if (tls.ca_certificate().empty()) return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions options(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = tls.ca_certificate();
  options.pem_key_cert_pairs.push_back({tls.private_key(), tls.certificate()});
  return grpc::SslServerCredentials(options);
}

std::shared_ptr<grpc::ChannelCredentials> channel_credentials(const v1::TlsMaterial& tls) {
  if (tls.ca_certificate().empty()) return grpc::InsecureChannelCredentials();
  return grpc::SslCredentials({tls.ca_certificate(), tls.private_key(), tls.certificate()});
}

std::string certificate_name(NodeId node) { return "node-" + std::to_string(node.value()); }

bool is_caller(const grpc::AuthContext& caller, const std::string& name) {
  if (!caller.IsPeerAuthenticated()) return caller.FindPropertyValues("x509_common_name").empty();
  const auto names = caller.FindPropertyValues("x509_common_name");
  return std::ranges::any_of(names, [&](const grpc::string_ref& n) { return name == std::string(n.data(), n.size()); });
}

}  // namespace pando::dsm

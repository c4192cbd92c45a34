// SPDX-License-Identifier: Apache-2.0
// A certificate authority of one cluster and the certificates that it signs (X.509 v3, ECDSA on
// P-256). Subjects: CN "node-<id>" for nodes, CN "operator" for the operator's tools; both serve
// either end of a connection.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace pando::tls {

// PEM texts.
struct Identity {
  std::string certificate;
  std::string private_key;
};

class Authority {
 public:
  // A fresh one.  Throws HostError when the host has no randomness or memory.
  static Authority create(const std::string& cluster, std::chrono::hours validity);
  // From PEM texts.  Throws UserError, one sentence beginning with `where`.
  static Authority load(const Identity& pem, const std::string& where);
  Authority(Authority&&) noexcept;
  Authority& operator=(Authority&&) noexcept;
  ~Authority();

  const Identity& identity() const { return identity_; }
  // `hosts`: further names or addresses under which the holder is reached (subjectAltName); the
  // common name is one.
  Identity sign(const std::string& common_name, const std::vector<std::string>& hosts,
                std::chrono::hours validity) const;

 private:
  struct Keys;
  Authority(std::unique_ptr<Keys> keys, Identity identity);
  std::unique_ptr<Keys> keys_;
  Identity identity_;
};

inline constexpr const char* kOperatorName = "operator";
std::string node_name(size_t node_id);  // "node-3"

// 32 hex digits of the host's randomness.
std::string random_id();

}  // namespace pando::tls

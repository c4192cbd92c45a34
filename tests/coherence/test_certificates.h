// SPDX-License-Identifier: Apache-2.0
// A certificate authority and certificates for a test cluster, made with the openssl program.
#pragma once

#include <string>
#include <vector>

#include "proto/node.pb.h"

namespace pando::test {

class TestCertificates {
 public:
  // `names` are the subjects (CN and DNS name).  Throws std::runtime_error.
  explicit TestCertificates(const std::vector<std::string>& names);
  ~TestCertificates();
  v1::TlsMaterial of(const std::string& name) const;

 private:
  std::string folder_;
};

}  // namespace pando::test

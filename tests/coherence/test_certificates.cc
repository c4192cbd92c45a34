// SPDX-License-Identifier: Apache-2.0
#include "tests/coherence/test_certificates.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace pando::test {

namespace {

void run(const std::string& command) {
  if (std::system((command + " >/dev/null 2>&1").c_str()) != 0) throw std::runtime_error("failed: " + command);
}

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TestCertificates::TestCertificates(const std::vector<std::string>& names) {
  char folder[] = "/tmp/pando-test-ca.XXXXXX";
  if (!mkdtemp(folder)) throw std::runtime_error("mkdtemp");
  folder_ = folder;
  const std::string in = "cd " + folder_ + " && ";
  const std::string key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
  run(in + "openssl req -x509 " + key + " -keyout ca.key -out ca.pem -days 2 -subj /CN=test-ca");
  for (const std::string& n : names) {
    std::ofstream(folder_ + "/" + n + ".ext") << "subjectAltName=DNS:" << n << "\n";
    run(in + "openssl req " + key + " -keyout " + n + ".key -out " + n + ".csr -subj /CN=" + n);
    run(in + "openssl x509 -req -in " + n + ".csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile " + n +
        ".ext -out " + n + ".pem");
  }
}

TestCertificates::~TestCertificates() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

v1::TlsMaterial TestCertificates::of(const std::string& name) const {
  v1::TlsMaterial tls;
  tls.set_ca_certificate(content(folder_ + "/ca.pem"));
  tls.set_certificate(content(folder_ + "/" + name + ".pem"));
  tls.set_private_key(content(folder_ + "/" + name + ".key"));
  return tls;
}

}  // namespace pando::test

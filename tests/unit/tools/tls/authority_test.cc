// SPDX-License-Identifier: Apache-2.0
// The oracle is openssl(1).
#include "tools/tls/authority.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "tests/catch.h"

using namespace pando::tls;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

struct Pems {
  Pems() {
    std::string pattern = (fs::temp_directory_path() / "pando-tls-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }
  ~Pems() { fs::remove_all(path); }
  std::string put(const std::string& name, const std::string& pem) const {
    std::ofstream(path + "/" + name) << pem;
    return path + "/" + name;
  }
  std::string path;
};

bool succeeds(const std::string& command) {
  return ::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

}  // namespace

TEST_CASE(
    "tls: authority: openssl verifies what it signed, for both ends and for its names alone") {
  const Pems pems;
  const Authority authority = Authority::create("lab", 24h);
  const Identity node = authority.sign(node_name(3), {"10.0.0.7", "hostb.example"}, 24h);
  const std::string ca = pems.put("ca.pem", authority.identity().certificate);
  const std::string leaf = pems.put("node.pem", node.certificate);
  const std::string verify = "openssl verify -x509_strict -CAfile " + ca + " ";
  CHECK(succeeds(verify + "-purpose sslserver " + leaf));
  CHECK(succeeds(verify + "-purpose sslclient " + leaf));
  CHECK(succeeds(verify + "-verify_hostname node-3 " + leaf));
  CHECK(succeeds(verify + "-verify_hostname hostb.example " + leaf));
  CHECK(succeeds(verify + "-verify_ip 10.0.0.7 " + leaf));
  CHECK_FALSE(succeeds(verify + "-verify_hostname node-2 " + leaf));
  CHECK(succeeds("openssl pkey -in " + pems.put("node.key", node.private_key)));
}

TEST_CASE("tls: authority: another cluster's certificate is refused") {
  const Pems pems;
  const Authority ours = Authority::create("lab", 24h);
  const Identity theirs = Authority::create("lab", 24h).sign(node_name(0), {}, 24h);
  CHECK_FALSE(succeeds("openssl verify -CAfile " + pems.put("ca.pem", ours.identity().certificate) +
                       " " + pems.put("node.pem", theirs.certificate)));
}

TEST_CASE("tls: authority: a stored one signs on; garbage and a foreign key are refused in words") {
  const Pems pems;
  const Authority first = Authority::create("lab", 24h);
  const Authority again = Authority::load(first.identity(), "certs");
  const Identity node = again.sign(kOperatorName, {}, 24h);
  CHECK(succeeds("openssl verify -CAfile " + pems.put("ca.pem", first.identity().certificate) +
                 " " + pems.put("op.pem", node.certificate)));
  const std::string expected =
      "certs: this is no certificate with its key; make new ones with pando init";
  CHECK_THROWS_WITH(Authority::load({"x", "y"}, "certs"), expected);
  CHECK_THROWS_WITH(Authority::load({first.identity().certificate, node.private_key}, "certs"),
                    expected);
}

TEST_CASE("tls: random ids: 32 hex digits, different each time") {
  const std::string a = random_id();
  CHECK(a.size() == 32);
  CHECK(a.find_first_not_of("0123456789abcdef") == a.npos);
  CHECK(a != random_id());
}

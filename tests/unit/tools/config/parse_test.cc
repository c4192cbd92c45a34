// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "tests/catch.h"
#include "tools/config/cluster_config.h"
#include "tools/config/schema.h"

using namespace pando::config;
using namespace std::chrono_literals;

namespace {

const std::string kNodeA = "[[node]]\nname = \"a\"\nmemory = \"256MiB\"\nvcpus = 1\n";
const std::string kNodeB = "[[node]]\nname = \"b\"\nmemory = \"256MiB\"\nvcpus = 1\n";

std::string message_of(const std::string& text, const std::string& file = "t.toml") {
  try {
    parse_cluster_config(text, file);
  } catch (const pando::UserError& error) {
    return error.what();
  }
  return "accepted";
}

std::string read_all(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

const std::string kSource = PANDO_SOURCE_DIR;

}  // namespace

TEST_CASE("config: smallest file: one node, everything else by default") {
  const ClusterConfig config = parse_cluster_config(kNodeA, "dir/My File.toml");
  CHECK(config.name == "my-file");
  CHECK_FALSE(config.kernel.has_value());
  CHECK(config.log_level == "info");
  CHECK(config.timeouts.node_loss == 3s);
  CHECK(config.timeouts.launch == 20s);
  CHECK(config.security.tls);
  CHECK_FALSE(config.security.insecure);
  CHECK_FALSE(config.switches.migratory.has_value());
  REQUIRE(config.nodes.size() == 1);
  CHECK(config.nodes[0].memory_bytes == uint64_t{256} << 20);
  CHECK(config.nodes[0].listen.text() == "127.0.0.1:0");
  CHECK(config.nodes[0].address == "127.0.0.1");
  CHECK(config.nodes[0].launch.empty());
}

TEST_CASE("config: full file: every key arrives, paths are relative to the file") {
  const ClusterConfig config = parse_cluster_config(R"(
name = "lab"
kernel = "img/vmlinux"
initrd = ["/abs/a.cpio", "../b.cpio"]
append = "quiet"
distances = [[10, 120], [130, 10]]
log_level = "debug"
[timeouts]
launch = "1s"
ship = "2s"
connect = "3s"
vmm_ready = "4s"
node_loss = "600ms"
page_request = "7s"
shutdown = "8s"
[security]
tls = false
insecure = true
directory = "certs"
[switches]
exclusive_grants = false
migratory = true
hold = "150us"
adaptive_hold = true
fault_around_pages = 8
spin = "50us"
batching = false
close_at_home = false
delay = "1ms"
[[node]]
name = "a"
memory = "256MiB"
vcpus = 1
cache = "64MiB"
listen = "0.0.0.0:7711"
address = "hosta.example"
launch = ["ip", "netns", "exec", "h1"]
program = "/opt/pando-dsm"
cpus = "0-1"
metrics = "10.0.0.1:9000"
devices = []
[[node]]
name = "b"
memory = "768MiB"
vcpus = 3
listen = "[fd00::2]:7711"
)",
                                                    "conf/lab.toml");
  CHECK(config.kernel == "conf/img/vmlinux");
  CHECK(config.initrds == std::vector<std::string>{"/abs/a.cpio", "b.cpio"});
  CHECK(config.append == "quiet");
  CHECK(config.distances == std::vector<uint32_t>{10, 120, 130, 10});
  CHECK(config.timeouts.shutdown == 8s);
  CHECK(config.timeouts.node_loss == 600ms);
  CHECK(config.timeouts.page_request == 7s);
  CHECK(config.security.directory == "conf/certs");
  CHECK(config.switches.hold == 150us);
  CHECK(config.switches.fault_around_pages == 8u);
  CHECK(config.switches.batching == false);
  CHECK(config.switches.close_at_home == false);
  CHECK(config.switches.delay == 1ms);
  const NodeConfig& a = config.nodes.at(0);
  CHECK(a.cache_bytes == uint64_t{64} << 20);
  CHECK(a.address == "hosta.example");
  CHECK(a.launch.size() == 4);
  CHECK(a.program == "/opt/pando-dsm");
  CHECK(a.cpus == std::vector<int>{0, 1});
  CHECK(a.metrics->port == 9000);
  CHECK(config.nodes.at(1).address == "fd00::2");
}

TEST_CASE("config: bad input: each mistake has its place and its remedy") {
  struct Case {
    std::string text;
    std::string expected;  // the whole message
  };
  const std::string net = "listen = \"10.0.0.1:7711\"\n";
  const std::vector<Case> cases = {
      {"", "t.toml: there is no node; add at least one [[node]] with name, memory and vcpus"},
      {"node = 3\n",
       "t.toml:1:8: there is no node; add at least one [[node]] with name, memory and vcpus"},
      {"node = []\n",
       "t.toml:1:8: there is no node; add at least one [[node]] with name, memory and vcpus"},
      {"nmae = \"x\"\n" + kNodeA, "t.toml:1:1: unknown key 'nmae'; did you mean 'name'?"},
      {"frobnicate = 1\n" + kNodeA,
       "t.toml:1:1: unknown key 'frobnicate'; docs/config.md lists the known ones"},
      {kNodeA + "vcpu = 2\n", "t.toml:5:1: unknown key 'vcpu' in [node]; did you mean 'vcpus'?"},
      {"[timeouts]\nconect = \"1s\"\n" + kNodeA,
       "t.toml:2:1: unknown key 'conect' in [timeouts]; did you mean 'connect'?"},
      {"[securty]\n" + kNodeA, "t.toml:1:2: unknown key 'securty'; did you mean 'security'?"},
      {"security = true\n" + kNodeA, "t.toml:1:12: security is a section; write [security]"},
      {"[[node]]\nname = \"a\"\nvcpus = 1\n",
       "t.toml:1:1: this [[node]] has no 'memory' (RAM that this node contributes); add it"},
      {"name = \"Lab One\"\n" + kNodeA,
       "t.toml:1:8: name: 'Lab One' is no name; use 1 to 15 of a-z, 0-9 and -, not beginning with "
       "-"},
      {"name = 5\n" + kNodeA, "t.toml:1:8: name: wants a quoted text such as \"a\""},
      {"kernel = \"\"\n" + kNodeA,
       "t.toml:1:10: kernel: is empty; name a file, or leave the key out"},
      {"kernel = \"a\\u0000b\"\n" + kNodeA,
       "t.toml:1:10: kernel: contains a NUL character; remove it"},
      {"initrd = 1\n" + kNodeA,
       "t.toml:1:10: initrd: wants a file such as \"initrd.cpio\" or a list of files"},
      {"initrd = [\"a\", 2]\n" + kNodeA,
       "t.toml:1:16: initrd: wants quoted, non-empty texts in its list"},
      {"log_level = \"loud\"\n" + kNodeA,
       "t.toml:1:13: log_level: use \"debug\", \"info\", \"warn\" or \"error\""},
      {"[timeouts]\nship = 5\n" + kNodeA, "t.toml:2:8: ship: wants a quoted text such as \"15s\""},
      {"[timeouts]\nship = \"5\"\n" + kNodeA,
       "t.toml:2:8: ship: '5' is no time; write a whole number and us, ms, s or min: \"15s\""},
      {"[timeouts]\nship = \"0s\"\n" + kNodeA,
       "t.toml:2:8: ship: is out of range; use 1ms to 3600s"},
      {"[security]\ntls = \"no\"\n" + kNodeA,
       "t.toml:2:7: tls: wants true or false, without quotes"},
      {"[security]\ninsecure = true\n" + kNodeA,
       "t.toml:2:12: insecure: contradicts tls = true; set tls = false or remove this key"},
      {"[switches]\nfault_around_pages = 0\n" + kNodeA,
       "t.toml:2:22: fault_around_pages: is out of range; use 1 to 512"},
      {"[[node]]\nname = \"a\"\nmemory = 256\nvcpus = 1\n",
       "t.toml:3:10: memory: wants a quoted text such as \"512MiB\""},
      {"[[node]]\nname = \"a\"\nmemory = \"256MB\"\nvcpus = 1\n",
       "t.toml:3:10: memory: '256MB' is no size; write a whole number and KiB, MiB or GiB: "
       "\"512MiB\""},
      {"[[node]]\nname = \"a\"\nmemory = \"16MiB\"\nvcpus = 1\n",
       "t.toml:3:10: memory: is out of range; use 64MiB to 4TiB"},
      {"[[node]]\nname = \"a\"\nmemory = \"268435457B\"\nvcpus = 1\n",
       "t.toml:3:10: memory: is no multiple of the page size; use a multiple of 4KiB"},
      {"[[node]]\nname = \"a\"\nmemory = \"256MiB\"\nvcpus = \"1\"\n",
       "t.toml:4:9: vcpus: wants a whole number such as 2, without quotes"},
      {"[[node]]\nname = \"a\"\nmemory = \"256MiB\"\nvcpus = -1\n",
       "t.toml:4:9: vcpus: is out of range; use 1 to 64"},
      {"[[node]]\nname = \"a\"\nmemory = \"256MiB\"\nvcpus = 65\n",
       "t.toml:4:9: vcpus: is out of range; use 1 to 64"},
      {kNodeA + "[[node]]\nname = \"b\"\nmemory = \"256MiB\"\nvcpus = 64\n",
       "t.toml:8:9: vcpus: the nodes up to here have 65 virtual CPUs together; at most 64 are "
       "possible"},
      {kNodeA + kNodeA, "t.toml:6:8: name: 'a' is taken by an earlier node; rename one"},
      {"[[node]]\nname = \"operator\"\nmemory = \"256MiB\"\nvcpus = 1\n",
       "t.toml:2:8: name: 'operator' means something else to Pando; use another name"},
      {kNodeA + "listen = \"7711\"\n",
       "t.toml:5:10: listen: '7711' is no address; write host:port, such as \"127.0.0.1:0\""},
      {kNodeA + "listen = \"0.0.0.0:7711\"\n",
       "t.toml:5:10: listen: nobody can connect to 0.0.0.0; add address = \"HOST\" to this node"},
      {kNodeA + "listen = \"127.0.0.1:7711\"\n" + kNodeB + "listen = \"127.0.0.1:7711\"\n",
       "t.toml:10:10: listen: 127.0.0.1:7711 is taken by node a; use another port or port 0"},
      {"[security]\ntls = false\n" + kNodeA + net,
       "t.toml:7:10: listen: 10.0.0.1 is not loopback and tls is off; set tls = true in "
       "[security], or insecure = "
       "true if everybody on that network may control the guest"},
      {kNodeA + net + kNodeB,
       "t.toml:6:1: listen: nodes a and b cannot reach each other: one listens on loopback and one "
       "does not; use "
       "addresses of one network for both"},
      {kNodeA + kNodeB + "launch = [\"ssh\", \"u@h\"]\n",
       "t.toml:5:1: listen: node b is started by ssh but listens on loopback, where node a cannot "
       "reach it; use the "
       "host's own address"},
      {kNodeA + "address = \"a:1:\\\"\"\n",
       "t.toml:5:11: address: is no host name or address; write the host alone, without a port"},
      {kNodeA + "launch = \"ssh h\"\n",
       "t.toml:5:10: launch: wants a list such as [\"ssh\", \"user@host\"]"},
      {kNodeA + "launch = [\"ssh\", \"\"]\n",
       "t.toml:5:18: launch: wants quoted, non-empty texts in its list"},
      {kNodeA + "cpus = \"1-0\"\n",
       "t.toml:5:8: cpus: '1-0' is no list of host CPUs; write it as in \"0-1,3\""},
      {kNodeA + "metrics = \"10.0.0.1:9000\"\n",
       "t.toml:5:11: metrics: 10.0.0.1 is not loopback and the page is not protected; use "
       "127.0.0.1"},
      {kNodeA + "devices = [\"disk\"]\n",
       "t.toml:5:11: devices: devices are not built yet; remove this key"},
      {"distances = [[10]]\n" + kNodeA + kNodeB,
       "t.toml:1:13: distances: wants 2 rows of 2 numbers, one per node"},
      {"distances = [[10, 20], [20]]\n" + kNodeA + kNodeB,
       "t.toml:1:24: distances: wants 2 rows of 2 numbers"},
      {"distances = [[10, 10], [20, 10]]\n" + kNodeA + kNodeB,
       "t.toml:1:19: distances: a node is 10 from itself and 11 to 254 from the others"},
  };
  for (const Case& c : cases) {
    INFO(c.text);
    CHECK(message_of(c.text) == c.expected);
  }
}

TEST_CASE("config: no TOML: the parser's words with their place") {
  using Catch::Matchers::ContainsSubstring;
  CHECK_THAT(message_of("name = \n"), ContainsSubstring("t.toml:1:8: this is not TOML: "));
  CHECK_THAT(message_of("\x7f"
                        "ELF\x02\x01\x01"),
             ContainsSubstring("t.toml:1:1: this is not TOML: "));
  CHECK_THAT(message_of("a = 1\na = 2\n"), ContainsSubstring("t.toml:2:"));
  CHECK_THAT(message_of("x = " + std::string(5000, '[')), ContainsSubstring("this is not TOML"));
}

TEST_CASE("config: limits: seventeen nodes are one too many") {
  std::string text;
  for (int i = 0; i < 17; ++i) {
    text += "[[node]]\nname = \"n" + std::to_string(i) + "\"\nmemory = \"64MiB\"\nvcpus = 1\n";
  }
  CHECK(message_of(text) == "t.toml:65:1: there are more than 16 nodes; remove some");
}

TEST_CASE("config: files: what cannot be read is named") {
  CHECK_THROWS_WITH(
      load_cluster_config("/nowhere/x.toml"),
      "/nowhere/x.toml: cannot be read (No such file or directory); name a cluster file");
  CHECK_THROWS_WITH(load_cluster_config("/"), "/: is not a file; name a cluster file");
  CHECK_THROWS_WITH(load_cluster_config("/dev/zero"),
                    "/dev/zero: is not a file; name a cluster file");
}

TEST_CASE("config: shipped files: every file in configs/ is accepted") {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kSource + "/configs")) {
    if (entry.path().extension() != ".toml") continue;
    INFO(entry.path());
    CHECK_NOTHROW(load_cluster_config(entry.path()));
    ++files;
  }
  CHECK(files >= 7);
}

TEST_CASE("config: documentation: docs/config.md has every key with its default") {
  const std::string doc = read_all(kSource + "/docs/config.md");
  REQUIRE(!doc.empty());
  for (const KeySpec& spec : all_keys()) {
    std::string row = "| `" + std::string(spec.key) + "` | ";
    switch (spec.need) {
      case Need::Required:
        row += "required";
        break;
      case Need::Optional:
        row += "-";
        break;
      case Need::Defaulted:
        row += spec.fallback.empty() ? "empty" : "`" + std::string(spec.fallback) + "`";
        break;
    }
    row += " | " + std::string(spec.doc) + " |";
    INFO(spec.section << " wants the row: " << row);
    CHECK(doc.find(row) != doc.npos);
  }
}

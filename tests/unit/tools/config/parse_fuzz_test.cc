// SPDX-License-Identifier: Apache-2.0
// Seeded mutations of a full cluster file: every outcome is a config or a UserError with the file's
// name.
#include <random>

#include "base/error.h"
#include "tests/catch.h"
#include "tools/config/cluster_config.h"

using namespace pando::config;

namespace {

const std::string kSeedFile = R"(name = "lab"
initrd = ["a.cpio"]
distances = [[10, 120], [130, 10]]
[timeouts]
launch = "1s"
[security]
tls = true
[switches]
fault_around_pages = 8
[[node]]
name = "a"
memory = "256MiB"
vcpus = 1
listen = "10.0.0.1:0"
cpus = "0-1"
[[node]]
name = "b"
memory = "768MiB"
vcpus = 3
listen = "10.0.0.2:0"
launch = ["ssh", "u@h"]
)";

const std::vector<std::string> kPieces = {
    "[",    "]",     "\"", "=",   "\n",   "[[node]]\n", "-1",  "9223372036854775807",
    "true", "1e400", "#",  "\\u", "'''",  "{",          "}",   "0x",
    ".",    ",",     "\0", "é",   "\xff", "2026-01-01", "nan", "memory = "};

std::string mutate(std::string text, std::mt19937_64& random) {
  const auto below = [&random](size_t n) { return static_cast<size_t>(random() % n); };
  const size_t edits = 1 + below(4);
  for (size_t i = 0; i < edits && !text.empty(); ++i) {
    const size_t at = below(text.size());
    const size_t length = std::min(text.size() - at, 1 + below(20));
    switch (below(4)) {
      case 0:
        text[at] = static_cast<char>(random());
        break;
      case 1:
        text.erase(at, length);
        break;
      case 2:
        text.insert(at, kPieces[below(kPieces.size())]);
        break;
      default:
        text.insert(below(text.size()), text.substr(at, length));
        break;
    }
  }
  return text;
}

}  // namespace

TEST_CASE("config fuzz: mutated files: accepted or refused in words, never a crash") {
  constexpr uint64_t kSeed = 20240607;
  constexpr int kRounds = 20'000;
  std::mt19937_64 random(kSeed);
  int accepted = 0, refused = 0;
  for (int round = 0; round < kRounds; ++round) {
    const std::string text = mutate(kSeedFile, random);
    INFO("seed " << kSeed << " round " << round << ":\n" << text);
    try {
      const ClusterConfig config = parse_cluster_config(text, "f.toml");
      REQUIRE(!config.nodes.empty());
      ++accepted;
    } catch (const pando::UserError& error) {
      REQUIRE(std::string(error.what()).rfind("f.toml:", 0) == 0);
      ++refused;
    }
  }
  CHECK(accepted > kRounds / 100);
  CHECK(refused > kRounds / 4);
}

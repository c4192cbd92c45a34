// SPDX-License-Identifier: Apache-2.0
#include "tools/cluster/runtime_dir.h"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "tests/catch.h"
#include "tests/unit/tools/cluster/temporary_root.h"

using namespace pando;
using namespace pando::cluster;

namespace {

v1::ClusterState state_of(const std::string& name) {
  v1::ClusterState state;
  state.set_name(name);
  return state;
}

}  // namespace

TEST_CASE("runtime dir: a running cluster is found by name and as the only one") {
  const TemporaryRoot root;
  const RuntimeDir lab = RuntimeDir::take("lab");
  lab.save(state_of("lab"));
  CHECK(find_running("lab").name() == "lab");
  CHECK(find_running("").name() == "lab");
  CHECK(running_clusters().size() == 1);
  CHECK_THROWS_WITH(find_running("other"), "cluster other is not running; these are: lab");
  const RuntimeDir second = RuntimeDir::take("second");
  second.save(state_of("second"));
  CHECK_THROWS_WITH(find_running(""), "several clusters are running, name one of: lab second");
}

TEST_CASE(
    "runtime dir: a name can be taken once at a time, and again after its end, without old files") {
  const TemporaryRoot root;
  {
    const RuntimeDir lab = RuntimeDir::take("lab");
    lab.save(state_of("lab"));
    std::ofstream(lab.log_file("a")) << "old\n";
    CHECK_THROWS_WITH(RuntimeDir::take("lab"),
                      "cluster lab is running already; end it with: pando down lab");
  }
  CHECK(running_clusters().empty());
  CHECK(find_folder("lab") == root.path + "/pando/lab");
  const RuntimeDir again = RuntimeDir::take("lab");
  CHECK(::access(again.log_file("a").c_str(), F_OK) != 0);
  CHECK(running_clusters().empty());  // no state yet
}

TEST_CASE("runtime dir: secrets: nobody else may read the state, foreign folders are refused") {
  const TemporaryRoot root;
  const RuntimeDir lab = RuntimeDir::take("lab");
  lab.save(state_of("lab"));
  struct stat status {};
  REQUIRE(::stat((lab.path() + "/state").c_str(), &status) == 0);
  CHECK((status.st_mode & 077) == 0);
  REQUIRE(::mkdir((root.path + "/pando/open").c_str(), 0777) == 0);
  REQUIRE(::chmod((root.path + "/pando/open").c_str(), 0777) == 0);
  CHECK_THROWS_AS(RuntimeDir::take("open"), UserError);
  REQUIRE(::symlink("/tmp", (root.path + "/pando/link").c_str()) == 0);
  CHECK_THROWS_AS(RuntimeDir::take("link"), UserError);
}

TEST_CASE("runtime dir: names: paths are no names, damaged state is no cluster") {
  const TemporaryRoot root;
  CHECK_THROWS_AS(find_running("../x"), UserError);
  CHECK_THROWS_AS(find_running(".."), UserError);
  CHECK_THROWS_WITH(find_running(""),
                    "no cluster is running; start one with: pando up FILE.toml --detach");
  const RuntimeDir lab = RuntimeDir::take("lab");
  std::ofstream(lab.path() + "/state") << "\xff\xff garbage";
  CHECK(running_clusters().empty());
}

TEST_CASE(
    "runtime dir: a killed supervisor: its state and its transient folder go with the next look") {
  const TemporaryRoot root;
  {
    const RuntimeDir lasting = RuntimeDir::take("lasting");
    lasting.save(state_of("lasting"));
    const RuntimeDir passing = RuntimeDir::take("passing");
    v1::ClusterState state = state_of("passing");
    state.set_transient(true);
    passing.save(state);
    CHECK(running_clusters().size() == 2);
  }  // both let go of their locks and of nothing else
  CHECK(running_clusters().empty());
  CHECK(std::filesystem::exists(root.path + "/pando/lasting"));
  CHECK_FALSE(std::filesystem::exists(root.path + "/pando/lasting/state"));
  CHECK_FALSE(std::filesystem::exists(root.path + "/pando/passing"));
}

TEST_CASE("runtime dir: removal: nothing of it is left") {
  const TemporaryRoot root;
  RuntimeDir lab = RuntimeDir::take("lab");
  lab.save(state_of("lab"));
  lab.open_log("a");
  lab.remove();
  CHECK_FALSE(std::filesystem::exists(root.path + "/pando/lab"));
}

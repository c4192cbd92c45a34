// SPDX-License-Identifier: Apache-2.0
// pando status [NAME] [--json]
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <cstdio>
#include <memory>

#include "base/error.h"
#include "tools/cluster/control_client.h"
#include "tools/cluster/outcome.h"
#include "tools/cluster/runtime_dir.h"
#include "tools/config/quantity.h"
#include "tools/pando/command.h"

namespace pando::cli {
namespace {

constexpr std::chrono::seconds kAnswer{2};
constexpr uint64_t kPageBytes = 4096;

struct NodeAnswer {
  v1::StateNode node;
  v1::StatusReply status;
  std::string error;  // empty = status is valid
};

std::vector<NodeAnswer> ask(const v1::ClusterState& state) {
  std::vector<NodeAnswer> answers;
  for (const v1::StateNode& node : state.nodes()) {
    NodeAnswer answer{.node = node, .status = {}, .error = {}};
    try {
      answer.status =
          cluster::ControlClient(node.name(), node.id(), node.address(), state.operator_tls())
              .status(kAnswer);
    } catch (const cluster::ControlError& error) {
      answer.error = error.what();
    }
    answers.push_back(std::move(answer));
  }
  return answers;
}

std::string phase_word(v1::Phase phase) {
  std::string word = v1::Phase_Name(phase);
  if (word.rfind("PHASE_", 0) == 0) word.erase(0, 6);
  for (char& c : word) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return word;
}

google::protobuf::Struct to_struct(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions print;
  print.preserve_proto_field_names = true;
  print.always_print_primitive_fields = true;
  std::string json;
  google::protobuf::Struct out;
  const bool good = google::protobuf::util::MessageToJsonString(message, &json, print).ok() &&
                    google::protobuf::util::JsonStringToMessage(json, &out).ok();
  CHECK(good);
  return out;
}

google::protobuf::Struct describe_json(const v1::ClusterState& state) {
  google::protobuf::Struct out;
  auto& fields = *out.mutable_fields();
  fields["name"].set_string_value(state.name());
  fields["config_file"].set_string_value(state.config_file());
  fields["supervisor_pid"].set_number_value(static_cast<double>(state.supervisor_pid()));
  auto& nodes = *fields["nodes"].mutable_list_value();
  for (const NodeAnswer& answer : ask(state)) {
    google::protobuf::Struct& node = *nodes.add_values()->mutable_struct_value();
    if (answer.error.empty()) node = to_struct(answer.status);
    (*node.mutable_fields())["name"].set_string_value(answer.node.name());
    (*node.mutable_fields())["address"].set_string_value(answer.node.address());
    if (!answer.error.empty()) (*node.mutable_fields())["error"].set_string_value(answer.error);
  }
  return out;
}

void print_json(const std::vector<v1::ClusterState>& clusters) {
  google::protobuf::Struct out;
  auto& list = *(*out.mutable_fields())["clusters"].mutable_list_value();
  for (const auto& state : clusters)
    *list.add_values()->mutable_struct_value() = describe_json(state);
  google::protobuf::util::JsonPrintOptions print;
  print.add_whitespace = true;
  std::string json;
  CHECK(google::protobuf::util::MessageToJsonString(out, &json, print).ok());
  std::fputs(json.c_str(), stdout);
}

std::string mebibytes(uint64_t pages) {
  return std::to_string(pages * kPageBytes >> 20) + " MiB";
}

void print_table(const v1::ClusterState& state) {
  std::printf("cluster %s (%s)\n", state.name().c_str(), state.config_file().c_str());
  std::printf("  %-15s %-22s %-12s %5s %10s %10s %10s\n", "node", "address", "phase", "vcpus",
              "memory", "here", "foreign");
  for (const NodeAnswer& answer : ask(state)) {
    const v1::StatusReply& s = answer.status;
    if (!answer.error.empty()) {
      std::printf("  %-15s %-22s %s\n", answer.node.name().c_str(), answer.node.address().c_str(),
                  answer.error.c_str());
      continue;
    }
    std::printf("  %-15s %-22s %-12s %5u %10s %10s %10s\n", answer.node.name().c_str(),
                answer.node.address().c_str(), phase_word(s.phase()).c_str(), s.vcpus(),
                mebibytes(s.pages_home()).c_str(), mebibytes(s.pages_held()).c_str(),
                mebibytes(s.pages_foreign()).c_str());
  }
}

int status(const std::string& name, bool json) {
  std::vector<v1::ClusterState> clusters;
  if (name.empty()) {
    clusters = cluster::running_clusters();
  } else {
    clusters.push_back(cluster::find_running(name));
  }
  if (json) {
    print_json(clusters);
  } else if (clusters.empty()) {
    std::puts("no cluster is running");
  } else {
    for (const auto& state : clusters) print_table(state);
  }
  return cluster::kExitFine;
}

}  // namespace

void add_status(CLI::App& app, int& exit_code) {
  auto name = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("status", "nodes of the running clusters");
  command->add_option("NAME", *name, "cluster or cluster file; default: all that run");
  command->add_flag("--json", *json, "for scripts");
  command->callback([=, &exit_code] { exit_code = status(*name, *json); });
}

}  // namespace pando::cli

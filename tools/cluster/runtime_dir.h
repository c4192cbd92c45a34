// SPDX-License-Identifier: Apache-2.0
// The runtime folder of a cluster: $XDG_RUNTIME_DIR/pando/NAME, or /run/pando/NAME for root, or
// /tmp/pando-UID/NAME. Holds `lock` (held by the supervising process as long as the cluster lives),
// `state` (ClusterState) and the logs NODE.log and console.log.  All of it belongs to the user,
// mode 0700.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "proto/state.pb.h"

namespace pando::cluster {

enum class OldLogs : uint8_t { Remove, Keep };

class RuntimeDir {
 public:
  // Takes the folder of a new cluster.  Throws UserError when a cluster of that name is running.
  static RuntimeDir take(const std::string& cluster, OldLogs logs = OldLogs::Remove);
  // Takes over the lock from the process that passed it on.
  static RuntimeDir adopt(const std::string& path, UniqueFd lock);

  const std::string& path() const { return path_; }
  std::string log_file(const std::string& node) const { return path_ + "/" + node + ".log"; }
  UniqueFd open_log(const std::string& node) const;  // for appending
  void save(const v1::ClusterState& state) const;
  void forget_state() const;  // the cluster has ended; logs stay
  void remove();              // everything
  int lock_fd() const { return lock_.get(); }

 private:
  RuntimeDir(std::string path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  std::string path_;
  UniqueFd lock_;
};

std::string runtime_root();  // does not have to exist
// Clusters that run now.
std::vector<v1::ClusterState> running_clusters();
// By name, by cluster file (*.toml), or the only one that runs when `name` is empty.  Throws
// UserError.
v1::ClusterState find_running(const std::string& name);
// For logs, also of clusters that have ended.  Throws UserError.
std::string find_folder(const std::string& name);

}  // namespace pando::cluster

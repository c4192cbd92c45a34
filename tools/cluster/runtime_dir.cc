// SPDX-License-Identifier: Apache-2.0
#include "tools/cluster/runtime_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "tools/config/cluster_config.h"

namespace pando::cluster {
namespace {

namespace fs = std::filesystem;

// Creates the folder, or accepts one that is the user's own.
void own_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    throw UserError(path + ": cannot be made (" + std::strerror(errno) +
                    "); set XDG_RUNTIME_DIR to a folder of yours");
  }
  struct stat status {};
  check_errno(::lstat(path.c_str(), &status), ("lstat " + path).c_str());
  if (!S_ISDIR(status.st_mode) || status.st_uid != ::geteuid() || (status.st_mode & 022) != 0) {
    throw UserError(path + ": is not a folder that only you may write; set XDG_RUNTIME_DIR to one");
  }
}

UniqueFd open_lock(const std::string& folder, int flags) {
  return UniqueFd(
      ::open((folder + "/lock").c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600));
}

enum class Lock : uint8_t { Taken, Busy };

Lock try_lock(int fd) {
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return Lock::Taken;
  if (errno == EWOULDBLOCK) return Lock::Busy;
  throw HostError("flock", errno);
}

bool is_running(const std::string& folder) {
  const UniqueFd lock = open_lock(folder, 0);
  return lock.valid() && try_lock(lock.get()) == Lock::Busy;
}

std::optional<v1::ClusterState> load_state(const std::string& folder) {
  std::ifstream in(folder + "/state", std::ios::binary);
  std::ostringstream bytes;
  if (!in || !(bytes << in.rdbuf())) return std::nullopt;
  v1::ClusterState state;
  if (!state.ParseFromString(bytes.str())) return std::nullopt;
  return state;
}

// A supervisor that was killed leaves its state, with the operator's key, behind.
void sweep(const std::string& folder) {
  const UniqueFd lock = open_lock(folder, 0);
  if (!lock || ::access((folder + "/state").c_str(), F_OK) != 0 ||
      try_lock(lock.get()) == Lock::Busy)
    return;
  const std::optional<v1::ClusterState> state = load_state(folder);
  ::unlink((folder + "/state").c_str());
  std::error_code ignored;  // what cannot be removed stays until the next start of that name
  if (state && state->transient()) fs::remove_all(folder, ignored);
}

std::string cluster_name(const std::string& name_or_file) {
  const bool is_file =
      name_or_file.size() > 5 && name_or_file.compare(name_or_file.size() - 5, 5, ".toml") == 0;
  const std::string name = is_file ? config::load_cluster_config(name_or_file).name : name_or_file;
  const bool plain = name.find('/') == name.npos && !name.empty() && name.front() != '.';
  if (!plain)
    throw UserError("'" + name.substr(0, 60) +
                    "' is no cluster name; pando status lists the running ones");
  return name;
}

std::vector<std::string> folders() {
  std::vector<std::string> out;
  std::error_code error;
  for (const auto& item : fs::directory_iterator(runtime_root(), error)) out.push_back(item.path());
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

std::string runtime_root() {
  const char* xdg = std::getenv("XDG_RUNTIME_DIR");
  if (xdg != nullptr && xdg[0] == '/') return std::string(xdg) + "/pando";
  return ::geteuid() == 0 ? "/run/pando" : "/tmp/pando-" + std::to_string(::geteuid());
}

RuntimeDir RuntimeDir::take(const std::string& cluster, OldLogs logs) {
  own_folder(runtime_root());
  for (const std::string& folder : folders()) sweep(folder);
  const std::string path = runtime_root() + "/" + cluster;
  own_folder(path);
  UniqueFd lock = open_lock(path, O_CREAT);
  check_errno(lock.get(), ("open " + path + "/lock").c_str());
  if (try_lock(lock.get()) == Lock::Busy) {
    throw UserError("cluster " + cluster + " is running already; end it with: pando down " +
                    cluster);
  }
  for (const auto& item : fs::directory_iterator(path)) {
    const bool kept = logs == OldLogs::Keep && item.path().extension() == ".log";
    if (!kept && item.path().filename() != "lock") fs::remove_all(item.path());  // of an earlier run
  }
  return {path, std::move(lock)};
}

RuntimeDir RuntimeDir::adopt(const std::string& path, UniqueFd lock) {
  return {path, std::move(lock)};
}

UniqueFd RuntimeDir::open_log(const std::string& node) const {
  const std::string file = log_file(node);
  UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  check_errno(fd.get(), ("open " + file).c_str());
  return fd;
}

void RuntimeDir::save(const v1::ClusterState& state) const {
  const std::string next = path_ + "/state.next";
  const UniqueFd fd(
      ::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  check_errno(fd.get(), ("open " + next).c_str());
  const std::string bytes = state.SerializeAsString();
  const ssize_t put =
      check_errno(::write(fd.get(), bytes.data(), bytes.size()), ("write " + next).c_str());
  if (static_cast<size_t>(put) != bytes.size()) throw HostError("write " + next, ENOSPC);
  check_errno(::rename(next.c_str(), (path_ + "/state").c_str()), ("rename " + next).c_str());
}

void RuntimeDir::forget_state() const {
  ::unlink((path_ + "/state").c_str());
}

void RuntimeDir::remove() {
  std::error_code ignored;  // what cannot be removed is taken over by the next start
  fs::remove_all(path_, ignored);
}

std::vector<v1::ClusterState> running_clusters() {
  std::vector<v1::ClusterState> out;
  for (const std::string& folder : folders()) {
    sweep(folder);
    if (!is_running(folder)) continue;
    if (auto state = load_state(folder)) out.push_back(std::move(*state));
  }
  return out;
}

v1::ClusterState find_running(const std::string& name) {
  const std::vector<v1::ClusterState> running = running_clusters();
  std::string names;
  for (const auto& state : running) names += " " + state.name();
  if (name.empty()) {
    if (running.empty())
      throw UserError("no cluster is running; start one with: pando up FILE.toml --detach");
    if (running.size() > 1) throw UserError("several clusters are running, name one of:" + names);
    return running.front();
  }
  const std::string wanted = cluster_name(name);
  for (const auto& state : running) {
    if (state.name() == wanted) return state;
  }
  throw UserError("cluster " + wanted + " is not running; " +
                  (running.empty() ? "none is" : "these are:" + names));
}

std::string find_folder(const std::string& name) {
  const std::string folder =
      runtime_root() + "/" + (name.empty() ? find_running("").name() : cluster_name(name));
  if (!fs::is_directory(folder))
    throw UserError(folder + ": there are no logs; name a cluster that was started by pando up");
  return folder;
}

}  // namespace pando::cluster

// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/types.h"
#include "base/unique_fd.h"
#include "tools/config/cluster_config.h"
#include "tools/config/table_reader.h"

namespace pando::config {
namespace {

constexpr size_t kFileMax = 1 << 20;  // bytes of a cluster file
constexpr uint32_t kDistanceLocal = 10, kDistanceMax = 254;
constexpr std::string_view kSections[] = {"timeouts", "security", "switches"};

std::string beside(const std::string& config_file, const std::string& path) {
  if (path.empty() || path.front() == '/') return path;
  return (std::filesystem::path(config_file).parent_path() / path).lexically_normal().string();
}

std::string name_of_file(const std::string& file) {
  std::string stem = std::filesystem::path(file).stem().string().substr(0, 15);
  for (char& c : stem) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))) c = '-';
  }
  return stem.empty() || stem.front() == '-' ? "cluster" : stem;
}

TableReader section(const std::string& file, const toml::table& root, std::string_view name) {
  const toml::node* found = root.get(name);
  if (found != nullptr && !found->is_table()) {
    fail_at(file, found->source(),
            std::string(name) + " is a section; write [" + std::string(name) + "]");
  }
  const toml::table* table = found == nullptr ? nullptr : found->as_table();
  TableReader reader(file, name, table, found == nullptr ? toml::source_region{} : found->source());
  reader.refuse_unknown();
  return reader;
}

TimeoutConfig read_timeouts(const TableReader& in) {
  return {.launch = in.duration("launch"),
          .ship = in.duration("ship"),
          .connect = in.duration("connect"),
          .vmm_ready = in.duration("vmm_ready"),
          .node_loss = in.duration("node_loss"),
          .page_request = in.duration("page_request"),
          .shutdown = in.duration("shutdown")};
}

SecurityConfig read_security(const TableReader& in, const std::string& file) {
  SecurityConfig out{
      .tls = in.on("tls"), .insecure = in.on("insecure"), .directory = in.maybe_text("directory")};
  if (out.directory) {
    if (out.directory->empty())
      in.fail("directory", "is empty; name a folder, or leave the key out");
    out.directory = beside(file, *out.directory);
  }
  if (out.tls && out.insecure)
    in.fail("insecure", "contradicts tls = true; set tls = false or remove this key");
  return out;
}

SwitchConfig read_switches(const TableReader& in) {
  SwitchConfig out;
  out.exclusive_grants = in.maybe_on("exclusive_grants");
  out.migratory = in.maybe_on("migratory");
  out.adaptive_hold = in.maybe_on("adaptive_hold");
  out.batching = in.maybe_on("batching");
  out.direct = in.maybe_on("direct");
  out.runs = in.maybe_on("runs");
  out.close_at_home = in.maybe_on("close_at_home");
  out.hold = in.maybe_duration("hold");
  out.spin = in.maybe_duration("spin");
  out.delay = in.maybe_duration("delay");
  out.fault_around_pages = in.maybe_count("fault_around_pages");
  out.prefetch_pages = in.maybe_count("prefetch_pages");
  return out;
}

// Others must be able to reach the node, and plaintext stays on loopback.
void check_addresses(const TableReader& in, const NodeConfig& node,
                     const SecurityConfig& security) {
  if (node.listen.wildcard() && node.address == node.listen.host) {
    in.fail("listen",
            "nobody can connect to " + node.listen.host + "; add address = \"HOST\" to this node");
  }
  if (!security.tls && !security.insecure && !node.listen.loopback()) {
    in.fail("listen", node.listen.host +
                          " is not loopback and tls is off; set tls = true in [security], or "
                          "insecure = true if everybody on that network may control the guest");
  }
  if (node.metrics && !node.metrics->loopback() && !security.insecure) {
    in.fail("metrics",
            node.metrics->host + " is not loopback and the page is not protected; use 127.0.0.1");
  }
}

NodeConfig read_node(const TableReader& in, const SecurityConfig& security) {
  NodeConfig node;
  node.name = in.name("name");
  if (node.name == "ca" || node.name == "operator" || node.name == "console") {
    in.fail("name", "'" + node.name + "' means something else to Pando; use another name");
  }
  node.memory_bytes = in.bytes("memory");
  node.vcpus = in.count("vcpus");
  node.cache_bytes = in.maybe_bytes("cache");
  node.listen = in.endpoint("listen");
  node.address = in.maybe_text("address").value_or(node.listen.host);
  if (!parse_endpoint(
          (node.address.find(':') == node.address.npos ? node.address : "[" + node.address + "]") +
          ":0")) {
    in.fail("address", "is no host name or address; write the host alone, without a port");
  }
  node.launch = in.words("launch");
  node.program = in.maybe_text("program");
  if (node.program && node.program->empty())
    in.fail("program", "is empty; name the file, or leave the key out");
  node.cpus = in.cpus("cpus");
  node.metrics = in.maybe_endpoint("metrics");
  if (!in.words("devices").empty())
    in.fail("devices", "devices are not built yet; remove this key");
  check_addresses(in, node, security);
  return node;
}

// What no node alone can get wrong.
void check_together(const TableReader& in, const ClusterConfig& all, const NodeConfig& node) {
  uint64_t vcpus = node.vcpus;
  for (const NodeConfig& other : all.nodes) {
    vcpus += other.vcpus;
    if (other.name == node.name)
      in.fail("name", "'" + node.name + "' is taken by an earlier node; rename one");
    if (node.listen.port != 0 && other.launch == node.launch &&
        other.listen.text() == node.listen.text()) {
      in.fail("listen", node.listen.text() + " is taken by node " + other.name +
                            "; use another port or port 0");
    }
    if (other.listen.loopback() != node.listen.loopback()) {
      in.fail("listen", "nodes " + other.name + " and " + node.name +
                            " cannot reach each other: one listens on loopback and one does not; "
                            "use addresses of "
                            "one network for both");
    }
    const bool remote = !node.launch.empty() && node.launch.front() == "ssh";
    if (remote && node.listen.loopback()) {
      in.fail("listen", "node " + node.name +
                            " is started by ssh but listens on loopback, where node " + other.name +
                            " cannot reach it; use the host's own address");
    }
  }
  if (vcpus > static_cast<uint64_t>(kVcpusMax)) {
    in.fail("vcpus", "the nodes up to here have " + std::to_string(vcpus) +
                         " virtual CPUs together; at most " + std::to_string(kVcpusMax) +
                         " are possible");
  }
}

void read_nodes(ClusterConfig& config, const toml::table& root, const std::string& file) {
  const toml::node* found = root.get("node");
  const toml::array* list = found == nullptr ? nullptr : found->as_array();
  if (list == nullptr || list->empty() || !list->is_array_of_tables()) {
    fail_at(file, found == nullptr ? toml::source_region{} : found->source(),
            "there is no node; add at least one [[node]] with name, memory and vcpus");
  }
  for (const toml::node& item : *list) {
    const TableReader reader(file, "node", item.as_table(), item.source());
    reader.refuse_unknown();
    if (config.nodes.size() == static_cast<size_t>(kNodesMax)) {
      fail_at(file, item.source(),
              "there are more than " + std::to_string(kNodesMax) + " nodes; remove some");
    }
    NodeConfig node = read_node(reader, config.security);
    check_together(reader, config, node);
    config.nodes.push_back(std::move(node));
  }
}

void read_distances(ClusterConfig& config, const TableReader& in, const std::string& file) {
  const toml::array* rows = in.array("distances");
  if (rows == nullptr) return;
  const size_t n = config.nodes.size();
  const std::string shape =
      "wants " + std::to_string(n) + " rows of " + std::to_string(n) + " numbers";
  if (rows->size() != n) in.fail("distances", shape + ", one per node");
  for (size_t i = 0; i < n; ++i) {
    const toml::array* row = rows->get(i)->as_array();
    if (row == nullptr || row->size() != n)
      fail_at(file, rows->get(i)->source(), "distances: " + shape);
    for (size_t j = 0; j < n; ++j) {
      const auto value = row->get(j)->value_exact<int64_t>();
      const bool good =
          value && (i == j ? *value == kDistanceLocal
                           : *value > kDistanceLocal && *value <= int64_t{kDistanceMax});
      if (!good) {
        fail_at(file, row->get(j)->source(),
                "distances: a node is 10 from itself and 11 to 254 from the others");
      }
      config.distances.push_back(static_cast<uint32_t>(*value));
    }
  }
}

void read_top(ClusterConfig& config, const TableReader& in, const std::string& file) {
  config.name = in.maybe_name("name").value_or(name_of_file(file));
  config.kernel = in.maybe_text("kernel");
  if (config.kernel) {
    if (config.kernel->empty()) in.fail("kernel", "is empty; name a file, or leave the key out");
    config.kernel = beside(file, *config.kernel);
  }
  config.initrds = in.maybe_paths("initrd");
  if (config.initrds) {
    for (std::string& path : *config.initrds) path = beside(file, path);
  }
  config.append = in.text("append");
  config.log_level = in.text("log_level");
  config.reboot = in.on("reboot");
  const std::set<std::string> levels{"debug", "info", "warn", "error"};
  if (!levels.contains(config.log_level))
    in.fail("log_level", "use \"debug\", \"info\", \"warn\" or \"error\"");
}

toml::table parse_toml(std::string_view text, const std::string& file) {
  try {
    return toml::parse(text, std::string_view(file));
  } catch (const toml::parse_error& error) {
    fail_at(file, error.source(),
            "this is not TOML: " + std::string(error.description()) + "; correct it");
  }
}

}  // namespace

ClusterConfig parse_cluster_config(std::string_view text, const std::string& file) {
  const toml::table root = parse_toml(text, file);
  const TableReader top(file, "", &root, toml::source_region{});
  std::vector<std::string_view> sections(std::begin(kSections), std::end(kSections));
  sections.push_back("node");
  top.refuse_unknown(sections);

  ClusterConfig config;
  config.file = file;
  read_top(config, top, file);
  config.timeouts = read_timeouts(section(file, root, "timeouts"));
  config.security = read_security(section(file, root, "security"), file);
  config.switches = read_switches(section(file, root, "switches"));
  read_nodes(config, root, file);
  read_distances(config, top, file);
  return config;
}

ClusterConfig load_cluster_config(const std::string& file) {
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0) {
    throw UserError(file + ": cannot be read (" + std::string(::strerror(errno)) +
                    "); name a cluster file");
  }
  if (!S_ISREG(status.st_mode)) throw UserError(file + ": is not a file; name a cluster file");
  std::string text(kFileMax + 1, '\0');
  size_t have = 0;
  while (have < text.size()) {
    const ssize_t got = ::read(fd.get(), text.data() + have, text.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (check_errno(got, ("read " + file).c_str()) == 0) break;
    have += static_cast<size_t>(got);
  }
  if (have > kFileMax) throw UserError(file + ": is larger than 1 MiB; this is no cluster file");
  text.resize(have);
  return parse_cluster_config(text, file);
}

}  // namespace pando::config

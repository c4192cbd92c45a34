// SPDX-License-Identifier: Apache-2.0
#include "tools/config/schema.h"

#include "base/error.h"
#include "base/types.h"

namespace pando::config {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kTiB = uint64_t{1} << 40;
constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kMinute = 60'000 * kMs;
constexpr uint64_t kNodeMemoryMin =
    64 * kMiB;  // less does not hold a kernel's tables and an initrd
constexpr uint64_t kNodeMemoryMax = 4 * kTiB;

using enum Kind;
using enum Need;

constexpr KeySpec kKeys[] = {
    {"", "name", Name, Optional, "", "name of the cluster; default: the file's name without .toml"},
    {"", "kernel", Text, Optional, "",
     "guest kernel image; default: the one that tools/build made"},
    {"", "initrd", Paths, Optional, "",
     "cpio archives unpacked into the guest's root; default: tools/build's"},
    {"", "append", Text, Defaulted, "", "added to the guest's kernel command line"},
    {"", "distances", Matrix, Optional, "",
     "NUMA distances, one row per node; default: 10 local, 100 remote"},
    {"", "log_level", Text, Defaulted, "info", "debug, info, warn or error: what the nodes log"},
    {"", "reboot", Switch, Defaulted, "true",
     "`pando up` starts a guest that reboots again; false = it ends"},

    {"timeouts", "launch", Duration, Defaulted, "20s", "launch command until the agent listens",
     kMs, 60 * kMinute},
    {"timeouts", "ship", Duration, Defaulted, "120s", "kernel and initrd shipped to a node", kMs,
     60 * kMinute},
    {"timeouts", "connect", Duration, Defaulted, "15s", "every agent has greeted every other", kMs,
     60 * kMinute},
    {"timeouts", "vmm_ready", Duration, Defaulted, "20s", "a node's machine has its memory set up",
     kMs, 60 * kMinute},
    {"timeouts", "node_loss", Duration, Defaulted, "3s", "a silent node counts as lost", 100 * kMs,
     60 * kMinute},
    {"timeouts", "page_request", Duration, Defaulted, "10s",
     "a page that nobody sends ends the cluster", 100 * kMs, 60 * kMinute},
    {"timeouts", "shutdown", Duration, Defaulted, "5s", "orderly end of a node until it is killed",
     kMs, 60 * kMinute},

    {"security", "tls", Switch, Defaulted, "true",
     "mutual TLS between all nodes and the operator; false = plaintext, on loopback alone"},
    {"security", "directory", Text, Optional, "",
     "certificates made by pando init; default: fresh ones for every start, kept in memory"},
    {"security", "insecure", Switch, Defaulted, "false", "allows plaintext beyond loopback"},

    {"switches", "exclusive_grants", Switch, Optional, "",
     "first reader of an unshared page gets it exclusively"},
    {"switches", "migratory", Switch, Optional, "",
     "pages that are read and then written move exclusively"},
    {"switches", "hold", Duration, Optional, "", "shortest stay of a page that was just received",
     0, 1000 * kMs},
    {"switches", "adaptive_hold", Switch, Optional, "", "the stay adapts to contention"},
    {"switches", "fault_around_pages", Count, Optional, "",
     "pages installed along with a fault; 1 = off", 1, 512},
    {"switches", "spin", Duration, Optional, "",
     "an agent looks for requests this long before it sleeps", 0, 1000 * kMs},
    {"switches", "batching", Switch, Optional, "", "several messages per frame"},
    {"switches", "direct", Switch, Optional, "",
     "pages travel over TCP connections of their own; false = over gRPC, one port per node"},
    {"switches", "runs", Switch, Optional, "", "adjacent pages travel and are handled together"},
    {"switches", "close_at_home", Switch, Optional, "",
     "no third message for a page that its home sends itself"},
    {"switches", "prefetch_pages", Count, Optional, "",
     "pages asked for ahead of a thread that reads page after page; 0 = off", 0, 256},
    {"switches", "delay", Duration, Optional, "",
     "added to every message between nodes, for experiments", 0, 1000 * kMs},

    {"node", "name", Name, Required, "", "name of the node, unique"},
    {"node", "memory", Bytes, Required, "", "RAM that this node contributes", kNodeMemoryMin,
     kNodeMemoryMax},
    {"node", "vcpus", Count, Required, "", "virtual CPUs on this node", 1, kVcpusMax},
    {"node", "cache", Bytes, Optional, "",
     "limit on pages of other nodes held here; default: no limit", kMiB, kNodeMemoryMax},
    {"node", "listen", Endpoint, Defaulted, "127.0.0.1:0",
     "address and port of the agent; port 0 = any free one"},
    {"node", "address", Text, Optional, "",
     "host under which others reach the node; default: that of listen"},
    {"node", "launch", Words, Defaulted, "",
     "command prefix that starts a program on the node's host"},
    {"node", "program", Text, Optional, "",
     "pando-dsm on the node's host, pando-vmm beside it; default: the one beside pando"},
    {"node", "cpus", CpuList, Optional, "",
     "host CPUs that the node's processes may use; default: all"},
    {"node", "metrics", Endpoint, Optional, "",
     "address and port of the node's Prometheus page; default: none"},
    {"node", "devices", Words, Defaulted, "", "must be empty: devices are not built yet"},
};

}  // namespace

std::span<const KeySpec> all_keys() {
  return kKeys;
}

const KeySpec& find_key(std::string_view section, std::string_view key) {
  const KeySpec* found = nullptr;
  for (const KeySpec& spec : kKeys) {
    if (spec.section == section && spec.key == key) found = &spec;
  }
  CHECK(found != nullptr);
  return *found;
}

}  // namespace pando::config

// SPDX-License-Identifier: Apache-2.0
#include "tools/cluster/certificates.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "base/unique_fd.h"
#include "tools/tls/authority.h"

namespace pando::cluster {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::hours kOneStart{24 * 365};
constexpr std::chrono::hours kLasting{24 * 365 * 10};
constexpr size_t kPemMax = 64 * 1024;

std::string read_pem(const std::string& file) {
  std::ifstream in(file);
  std::ostringstream out;
  if (!in || !(out << in.rdbuf())) {
    throw UserError(file + ": cannot be read (" + std::strerror(errno) +
                    "); make it with: pando init FILE.toml");
  }
  if (out.str().size() > kPemMax)
    throw UserError(file + ": is too long for a PEM file; make it with pando init");
  return out.str();
}

tls::Identity read_identity(const std::string& folder, const std::string& name) {
  return {read_pem(folder + "/" + name + ".pem"), read_pem(folder + "/" + name + ".key")};
}

void write_private(const std::string& file, const std::string& text) {
  ::unlink(file.c_str());  // never follow or keep the mode of what was there
  const UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd)
    throw UserError(file + ": cannot be written (" + std::strerror(errno) +
                    "); choose a folder of yours");
  const ssize_t put =
      check_errno(::write(fd.get(), text.data(), text.size()), ("write " + file).c_str());
  if (static_cast<size_t>(put) != text.size()) throw HostError("write " + file, ENOSPC);
}

v1::TlsMaterial material(const std::string& ca, const tls::Identity& identity) {
  v1::TlsMaterial out;
  out.set_ca_certificate(ca);
  out.set_certificate(identity.certificate);
  out.set_private_key(identity.private_key);
  return out;
}

Certificates fresh(const config::ClusterConfig& config) {
  const tls::Authority authority = tls::Authority::create(config.name, kOneStart);
  const std::string& ca = authority.identity().certificate;
  Certificates out;
  for (size_t id = 0; id < config.nodes.size(); ++id) {
    out.nodes.push_back(
        material(ca, authority.sign(tls::node_name(id), {config.nodes[id].address}, kOneStart)));
  }
  out.operator_tls = material(ca, authority.sign(tls::kOperatorName, {}, kOneStart));
  return out;
}

Certificates stored(const config::ClusterConfig& config, const std::string& folder) {
  const std::string ca = read_pem(folder + "/ca.pem");
  Certificates out;
  for (const config::NodeConfig& node : config.nodes) {
    out.nodes.push_back(material(ca, read_identity(folder, node.name)));
  }
  out.operator_tls = material(ca, read_identity(folder, tls::kOperatorName));
  return out;
}

}  // namespace

Certificates certificates_for(const config::ClusterConfig& config) {
  if (!config.security.tls) return {std::vector<v1::TlsMaterial>(config.nodes.size()), {}};
  return config.security.directory ? stored(config, *config.security.directory) : fresh(config);
}

std::vector<std::string> write_certificates(const config::ClusterConfig& config,
                                            const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error)
    throw UserError(folder + ": cannot be made (" + error.message() +
                    "); choose a folder of yours");
  check_errno(::chmod(folder.c_str(), 0700), ("chmod " + folder).c_str());
  const bool again = fs::exists(folder + "/ca.key");
  const tls::Authority authority =
      again ? tls::Authority::load(read_identity(folder, "ca"), folder + "/ca.pem")
            : tls::Authority::create(config.name, kLasting);
  std::vector<std::string> files;
  const auto write = [&](const std::string& name, const tls::Identity& identity) {
    write_private(folder + "/" + name + ".pem", identity.certificate);
    write_private(folder + "/" + name + ".key", identity.private_key);
    files.insert(files.end(), {folder + "/" + name + ".pem", folder + "/" + name + ".key"});
  };
  if (!again) write("ca", authority.identity());
  write(tls::kOperatorName, authority.sign(tls::kOperatorName, {}, kLasting));
  for (size_t id = 0; id < config.nodes.size(); ++id) {
    const config::NodeConfig& node = config.nodes[id];
    write(node.name, authority.sign(tls::node_name(id), {node.address}, kLasting));
  }
  return files;
}

}  // namespace pando::cluster

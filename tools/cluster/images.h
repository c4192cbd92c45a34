// SPDX-License-Identifier: Apache-2.0
// Kernel and initramfs images of a cluster: found, opened, looked at, named by their SHA-256.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "tools/config/cluster_config.h"

namespace pando::cluster {

struct Image {
  std::string file;  // as named to the user
  std::string path;  // absolute; empty: made in memory
  UniqueFd fd;
  uint64_t bytes = 0;
  std::string sha256;  // after name_images()
};

struct Images {
  Image kernel;
  std::vector<Image> initrds;
};

// Programs and images that tools/build put where the running pando is.
struct Installation {
  std::string agent;   // .../bin/pando-dsm
  std::string kernel;  // .../guest/vmlinux
  std::string initrd;  // .../guest/base.cpio.gz
  static Installation of_this_program();
};

// `extra_initrd` is appended (the command of pando run); empty = none.  Throws UserError naming the
// file.
Images open_images(const config::ClusterConfig& config, const Installation& installation,
                   const std::string& extra_initrd);

// Reads all of them: takes a few milliseconds for each 10 MiB.  Throws HostError naming the file.
void name_images(Images& images);

// What pando run adds to the guest's root: /pando/run/{argv,env,cwd}.
struct GuestCommand {
  std::vector<std::string> argv;
  std::vector<std::string> environment;  // "NAME=value"
  std::string folder;                    // empty = the guest's default
};
std::string command_archive(const GuestCommand& command);

}  // namespace pando::cluster

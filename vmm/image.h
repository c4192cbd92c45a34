// SPDX-License-Identifier: Apache-2.0
// Reading what the guest is started with: the kernel image (a static ELF file linked into the direct map) and initrds.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/mapping.h"
#include "base/types.h"
#include "base/unique_fd.h"
#include "dsm/client/node_client.h"

namespace pando::vmm {

class Image {
 public:
  struct Segment {
    GuestPhys start;
    std::span<const uint8_t> bytes;  // file content
    uint64_t memory_bytes;       // with the zeros behind it
    bool writable;               // else it stays the same on all nodes
  };

  // Reads and checks everything.  Throws UserError: not an ELF file, not x86-64, not linked for Pando, another ABI
  // version, truncated.
  static Image read(int fd, const std::string& name);

  const std::vector<Segment>& segments() const { return segments_; }
  uint64_t entry() const { return entry_; }
  GuestPhys end() const;  // first byte behind the image

 private:
  Mapping file_;
  std::vector<Segment> segments_;  // of file_
  uint64_t entry_ = 0;
};

// All initrds behind each other, each padded with zeros to 4 bytes as cpio wants it; empty when there are none.  Throws
// UserError.
Mapping read_initrds(const std::vector<UniqueFd>& fds);

// The highest place in node 0's memory, page-aligned, behind the image.  Throws UserError if it does not fit.
GuestPhys place_initrd(const dsm::ClusterLayout& layout, GuestPhys image_end, uint64_t bytes);

}  // namespace pando::vmm

// SPDX-License-Identifier: Apache-2.0
// Packs a folder of this host into an initramfs.
#pragma once

#include <cstdint>
#include <string>

namespace pando::cpio {

enum class Compression : uint8_t { None, Gzip };

struct Packed {
  uint64_t entries = 0;
  uint64_t archive_bytes = 0;  // as written
};

// Files, folders, symbolic and hard links, device nodes, owners and modes as they are; sockets are
// left out.  Does not follow symbolic links or leave the folder's file system.  `output` is
// replaced when all went well, else untouched. Throws UserError, HostError.
Packed pack_folder(const std::string& folder, const std::string& output, Compression compression);

}  // namespace pando::cpio

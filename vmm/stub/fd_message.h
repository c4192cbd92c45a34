// SPDX-License-Identifier: Apache-2.0
// Messages with descriptors over a SOCK_SEQPACKET socket (unix(7), SCM_RIGHTS).
#pragma once

#include <cstddef>
#include <span>

#include "base/unique_fd.h"

namespace pando::stub {

inline constexpr size_t kMessageFdsMax = 4;

// False with errno when it cannot be sent.
bool send_message(int socket, const void* data, size_t bytes, std::span<const int> fds);

enum class Received { Message, EndOfFile, Malformed };
// Demands exactly `bytes` bytes; fills in as many descriptors as came (at most fds.size(), the others stay invalid).
Received receive_message(int socket, void* data, size_t bytes, std::span<UniqueFd> fds);

}  // namespace pando::stub

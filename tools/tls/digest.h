// SPDX-License-Identifier: Apache-2.0
// SHA-256 of files and texts, as 64 lower-case hex digits.
#pragma once

#include <string>
#include <string_view>

namespace pando::tls {

std::string sha256(std::string_view bytes);
// Of the whole file; the descriptor's position stays.  Throws HostError naming `what`.
std::string sha256_of_file(int fd, const std::string& what);

}  // namespace pando::tls

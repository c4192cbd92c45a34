// SPDX-License-Identifier: Apache-2.0
// "did you mean": the known word that lies nearest to a misspelt one.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace pando::config {

// Single-character insertions, deletions, replacements and swaps of neighbours that turn `a` into
// `b`.
size_t edit_distance(std::string_view a, std::string_view b);

// The nearest known word, if it is near enough to be what was meant.
std::optional<std::string_view> suggest(std::string_view word,
                                        const std::vector<std::string_view>& known);

}  // namespace pando::config

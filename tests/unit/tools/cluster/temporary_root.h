// SPDX-License-Identifier: Apache-2.0
// A runtime root of a test's own, through XDG_RUNTIME_DIR.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <stdexcept>
#include <string>

struct TemporaryRoot {
  TemporaryRoot() {
    std::string pattern = (std::filesystem::temp_directory_path() / "pando-run-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path = pattern;
    ::setenv("XDG_RUNTIME_DIR", path.c_str(), 1);
  }
  ~TemporaryRoot() {
    ::unsetenv("XDG_RUNTIME_DIR");
    std::filesystem::remove_all(path);
  }
  TemporaryRoot(const TemporaryRoot&) = delete;
  TemporaryRoot& operator=(const TemporaryRoot&) = delete;
  std::string path;
};

// SPDX-License-Identifier: Apache-2.0
// The three kinds of failure (docs/ARCHITECTURE.md, "Errors"):
//   CHECK(cond)   a broken invariant of ours: prints and aborts.  Never reached by hostile input.
//   HostError     a host call failed; thrown by base/ wrappers only, caught at thread, RPC and main tops.
//   UserError     a mistake of the user (config, file, rights): one plain sentence with its remedy; exit code 2.
#pragma once

#include <cerrno>
#include <stdexcept>
#include <string>

namespace pando {

class HostError : public std::runtime_error {
 public:
  HostError(const std::string& what_failed, int error_number);
  int error_number() const { return errno_; }

 private:
  int errno_;
};

class UserError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// One helper per Linux convention.  Each returns the good value or throws HostError naming `what`.
long check_errno(long result, const char* what);     // -1 and errno
long check_negative(long result, const char* what);  // -errno
void check_pthread(int result, const char* what);    // positive error number

[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace pando

#define CHECK(condition) \
  (__builtin_expect(!!(condition), 1) ? void(0) : ::pando::check_failed(#condition, __FILE__, __LINE__))

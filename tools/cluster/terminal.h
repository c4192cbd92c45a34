// SPDX-License-Identifier: Apache-2.0
// The user's terminal in raw mode, so that every key reaches the guest; as it was again on
// destruction.
#pragma once

#include <termios.h>
#include <unistd.h>

namespace pando::cluster {

class RawTerminal {
 public:
  // Does nothing when `fd` is no terminal.
  explicit RawTerminal(int fd) : fd_(::isatty(fd) == 1 && ::tcgetattr(fd, &saved_) == 0 ? fd : -1) {
    if (fd_ < 0) return;
    termios raw = saved_;
    ::cfmakeraw(&raw);
    ::tcsetattr(fd_, TCSANOW, &raw);
  }
  ~RawTerminal() { restore(); }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

  void restore() {
    if (fd_ >= 0) ::tcsetattr(fd_, TCSADRAIN, &saved_);
    fd_ = -1;
  }
  bool active() const { return fd_ >= 0; }

 private:
  termios saved_{};
  int fd_;
};

}  // namespace pando::cluster

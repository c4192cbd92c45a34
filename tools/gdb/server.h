// SPDX-License-Identifier: Apache-2.0
// Listens for debuggers and connects one at a time to the machine; a second one is told so and sent away.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/unique_fd.h"
#include "tools/gdb/debug_target.h"
#include "tools/gdb/session.h"

namespace pando::gdb {

// "/path/of/socket", or "ADDRESS:PORT" where the address must be loopback unless `anywhere`.  Port 0 takes a free one.
struct ListenOptions {
  std::string where;
  bool anywhere = false;
};

class Server {
 public:
  // `target_event_fd` becomes readable when target.take_stop() may have something.  Throws UserError, HostError.
  Server(DebugTarget& target, int target_event_fd, const ListenOptions& listen);
  ~Server();

  // What to give to GDB's `target remote`.
  const std::string& address() const { return address_; }
  // Serves until `until_fd` becomes readable (-1: for ever).  A debugger that is attached then is detached.
  void run(int until_fd);

 private:
  void listen_unix(const std::string& path);
  void listen_tcp(const std::string& where, bool anywhere);
  void on_connection();
  void on_input();
  void on_writable();
  void refuse(UniqueFd connection, const std::string& sentence);
  void end_session();

  DebugTarget& target_;
  const int target_event_fd_;
  UniqueFd listener_;
  std::string address_, unlink_path_;
  UniqueFd connection_;
  std::unique_ptr<Session> session_;
  std::string output_;  // not taken by the debugger yet
};

}  // namespace pando::gdb

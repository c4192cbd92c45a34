// SPDX-License-Identifier: Apache-2.0
// What an agent tells on its stdout: one Event per line, as JSON.  One thread.
#pragma once

#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "proto/control.pb.h"

namespace pando::cluster {

class EventReader {
 public:
  // Makes the descriptor non-blocking.
  explicit EventReader(UniqueFd from_agent);

  int fd() const { return from_agent_.get(); }  // -1 after its end of file
  // Complete lines that have arrived; does not block.  Lines that are no events are dropped.
  std::vector<v1::Event> read();

 private:
  void fill();

  UniqueFd from_agent_;
  std::string partial_line_;
};

}  // namespace pando::cluster

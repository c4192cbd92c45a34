// SPDX-License-Identifier: Apache-2.0
#include "tools/cluster/event_reader.h"

#include <fcntl.h>
#include <google/protobuf/util/json_util.h>
#include <unistd.h>

#include <array>

#include "base/error.h"

namespace pando::cluster {
namespace {

constexpr size_t kLineMax = 64 * 1024;

}  // namespace

EventReader::EventReader(UniqueFd from_agent) : from_agent_(std::move(from_agent)) {
  if (from_agent_) check_errno(::fcntl(fd(), F_SETFL, O_NONBLOCK), "fcntl(O_NONBLOCK)");
}

void EventReader::fill() {
  std::array<char, 16 * 1024> buffer;
  while (from_agent_) {
    const ssize_t got = ::read(fd(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) break;
    if (got <= 0) {
      from_agent_.reset();
      break;
    }
    partial_line_.append(buffer.data(), static_cast<size_t>(got));
    if (partial_line_.size() > kLineMax && partial_line_.find('\n') == partial_line_.npos)
      partial_line_.clear();
  }
}

std::vector<v1::Event> EventReader::read() {
  fill();
  std::vector<v1::Event> events;
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;  // a newer agent may say more
  size_t begin = 0;
  for (size_t end; (end = partial_line_.find('\n', begin)) != partial_line_.npos; begin = end + 1) {
    v1::Event event;
    const std::string line = partial_line_.substr(begin, end - begin);
    if (google::protobuf::util::JsonStringToMessage(line, &event, options).ok())
      events.push_back(std::move(event));
  }
  partial_line_.erase(0, begin);
  return events;
}

}  // namespace pando::cluster

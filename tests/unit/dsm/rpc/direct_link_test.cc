// SPDX-License-Identifier: Apache-2.0
#include "dsm/rpc/direct_link.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <utility>

#include "tests/catch.h"

namespace pando::dsm {
namespace {

using namespace std::chrono_literals;

// Notes what a link tells.
class Log final : public DirectHandler {
 public:
  void on_direct_up(NodeId, PeerStream, DirectLink&) override { note([this] { up_ = true; }); }
  void on_direct_frame(NodeId, PeerStream, v1::PeerFrame& frame) override {
    if (on_frame_) on_frame_();
    note([&] { epochs_.push_back(frame.epoch()), bytes_ += frame.ByteSizeLong(); });
  }
  void on_direct_end(NodeId, PeerStream, const std::string& why) override { note([&] { end_ = why; }); }
  template <class Condition>
  bool wait(Condition condition) {
    std::unique_lock lock(mutex_);
    return wake_.wait_for(lock, 10s, [&] { return condition(*this); });
  }
  std::function<void()> on_frame_;  // in the reading thread, before the frame is noted
  bool up_ = false;
  std::vector<uint32_t> epochs_;
  size_t bytes_ = 0;
  std::string end_;

 private:
  template <class Change>
  void note(Change change) {
    const std::lock_guard guard(mutex_);
    change();
    wake_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable wake_;
};

struct Ends {
  UniqueFd a, b;
};
Ends connection() {
  const UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  REQUIRE(bind(listener.get(), generic, length) == 0);
  REQUIRE(listen(listener.get(), 1) == 0);
  REQUIRE(getsockname(listener.get(), generic, &length) == 0);
  UniqueFd a(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(connect(a.get(), generic, length) == 0);
  return {std::move(a), UniqueFd(accept(listener.get(), nullptr, nullptr))};
}

std::unique_ptr<DirectLink> link_over(UniqueFd fd, Log& log, std::atomic<int>& late, const std::string& send = "",
                                      const std::string& receive = "") {
  DirectLink::Options o;
  o.send_key = send;
  o.receive_key = receive;
  o.open = [taken = std::make_shared<UniqueFd>(std::move(fd))] { return std::move(*taken); };
  o.on_late_written = [&late] { ++late; };
  auto link = std::make_unique<DirectLink>(std::move(o), log);
  REQUIRE(log.wait([](Log& l) { return l.up_; }));
  return link;
}

v1::PeerFrame frame(uint32_t epoch, size_t bytes = 0) {
  v1::PeerFrame f;
  f.set_epoch(epoch);
  if (bytes != 0) f.add_fabric()->mutable_payload()->resize(bytes, 'x');
  return f;
}

void write_when_free(DirectLink& link, const v1::PeerFrame& f, std::atomic<int>& late) {
  const int before = late;
  if (link.start_write(&f) == FrameWriter::Write::Done) return;
  for (int i = 0; i < 10'000 && late == before; ++i) usleep(1000);
  REQUIRE(late == before + 1);
}

}  // namespace

TEST_CASE("direct link: frames arrive whole and in order, in plaintext and sealed, then the end") {
  const bool sealed = GENERATE(false, true);
  const std::string there = sealed ? random_bytes(FrameCipher::kKeyBytes) : "";
  const std::string back = sealed ? random_bytes(FrameCipher::kKeyBytes) : "";
  Ends ends = connection();
  Log a_log, b_log;
  std::atomic<int> late{0};
  const auto a = link_over(std::move(ends.a), a_log, late, there, back);
  const auto b = link_over(std::move(ends.b), b_log, late, back, there);
  std::vector<uint32_t> expected;
  // Longer than the reader's buffer and than what a socket takes at once, too.
  for (const size_t bytes : {size_t{0}, size_t{4096}, size_t{10} << 20, size_t{1}, size_t{600} << 10}) {
    expected.push_back(static_cast<uint32_t>(expected.size() + 7));
    write_when_free(*a, frame(expected.back(), bytes), late);
  }
  a->close();
  CHECK(b_log.wait([](Log& l) { return !l.end_.empty(); }));
  CHECK(b_log.epochs_ == expected);
  CHECK(b_log.end_ == "it closed the connection");
}

TEST_CASE("direct link: a long frame that comes piece by piece arrives when its last piece has come") {
  Ends ends = connection();
  Log log;
  std::atomic<int> late{0};
  const auto link = link_over(std::move(ends.a), log, late);
  const auto send = [&](std::string_view bytes) {
    REQUIRE(write(ends.b.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  };
  const auto on_the_wire = [](const v1::PeerFrame& f) {
    const std::string body = f.SerializeAsString();
    const auto length = static_cast<uint32_t>(body.size());
    return std::string(reinterpret_cast<const char*>(&length), sizeof length) + body;
  };
  const std::string first = on_the_wire(frame(1)), second = on_the_wire(frame(2, 300 << 10));
  constexpr size_t kBeginning = 1 << 10, kMiddle = 100 << 10;
  // While the first frame is handled, more of the second one arrives; its rest comes when the reader waits again.
  log.on_frame_ = [&, sent = false]() mutable {
    if (!std::exchange(sent, true)) send(std::string_view(second).substr(kBeginning, kMiddle));
  };
  send(first + second.substr(0, kBeginning));
  REQUIRE(log.wait([](Log& l) { return !l.epochs_.empty(); }));
  for (size_t at = kBeginning + kMiddle; at < second.size(); at += kBeginning) {
    usleep(100);  // small pieces, one wake-up at most for each: the order of events does not depend on it
    send(std::string_view(second).substr(at, kBeginning));
  }
  CHECK(log.wait([](Log& l) { return l.epochs_.size() == 2 || !l.end_.empty(); }));
  CHECK(log.epochs_ == std::vector<uint32_t>{1, 2});
}

TEST_CASE("direct link: what is no frame ends it with a sentence") {
  struct {
    std::string bytes, why;
  } const bad[] = {{std::string("\xff\xff\xff\xff", 4), "too long"}, {std::string("\x02\x00\x00\x00\xff\xff", 6), "malformed"}};
  for (const auto& [bytes, why] : bad) {
    Ends ends = connection();
    Log log;
    std::atomic<int> late{0};
    const auto link = link_over(std::move(ends.a), log, late);
    REQUIRE(write(ends.b.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    REQUIRE(log.wait([](Log& l) { return !l.end_.empty(); }));
    CHECK(log.end_.find(why) != std::string::npos);
  }
}

TEST_CASE("direct listener: the ticket decides who a connection is; a wrong one is closed, a good one used up") {
  std::mutex mutex;
  std::condition_variable wake;
  std::vector<int> peers;
  DirectListener listener("127.0.0.1:1", [&](NodeId peer, PeerStream, UniqueFd) {
    const std::lock_guard guard(mutex);
    peers.push_back(peer.value());
    wake.notify_all();
  });
  const std::string good = listener.expect(NodeId(3), PeerStream::Bulk);
  const auto refused = [&](const std::string& ticket) {
    const UniqueFd fd = connect_direct("127.0.0.1:1", listener.port(), ticket);
    char byte;
    return recv(fd.get(), &byte, 1, 0) <= 0;
  };
  CHECK(refused(std::string(DirectListener::kTicketBytes, 'n')));
  const UniqueFd fd = connect_direct("127.0.0.1:1", listener.port(), good);
  {
    std::unique_lock lock(mutex);
    REQUIRE(wake.wait_for(lock, 10s, [&] { return !peers.empty(); }));
    CHECK(peers == std::vector<int>{3});
  }
  CHECK(refused(good));
}

}  // namespace pando::dsm

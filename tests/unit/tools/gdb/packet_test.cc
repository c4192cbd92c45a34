// SPDX-License-Identifier: Apache-2.0
#include "tools/gdb/packet.h"

#include <vector>

#include "tests/catch.h"

namespace pando::gdb {

namespace {

std::vector<PacketItem> decode(std::string_view bytes) {
  PacketDecoder decoder;
  std::vector<PacketItem> items;
  for (const char c : bytes)
    if (auto item = decoder.push(static_cast<uint8_t>(c))) items.push_back(std::move(*item));
  return items;
}

}  // namespace

TEST_CASE("gdb packet: payload of every byte value: comes back unchanged") {
  std::string payload;
  for (int i = 0; i < 256; ++i) payload.push_back(static_cast<char>(i));
  const auto items = decode(encode_packet(payload));
  REQUIRE(items.size() == 1);
  CHECK(items[0].kind == PacketItem::Kind::Packet);
  CHECK(items[0].payload == payload);
}

TEST_CASE("gdb packet: known packet of GDB's manual: has the known checksum") {
  CHECK(encode_packet("OK") == "$OK#9a");
  CHECK(encode_packet("") == "$#00");
}

TEST_CASE("gdb packet: acknowledgements, interrupt and noise around packets: are told apart") {
  const auto items = decode("xx+-\x03$g#67zz");
  REQUIRE(items.size() == 4);
  CHECK(items[0].kind == PacketItem::Kind::Ack);
  CHECK(items[1].kind == PacketItem::Kind::Nak);
  CHECK(items[2].kind == PacketItem::Kind::Interrupt);
  CHECK(items[3].payload == "g");
}

TEST_CASE("gdb packet: wrong or unreadable checksum: is reported") {
  for (const char* text : {"$g#68", "$g#zz", "$g#6z", "$g#z7"}) {
    const auto items = decode(text);
    REQUIRE(items.size() == 1);
    CHECK(items[0].kind == PacketItem::Kind::BadChecksum);
  }
}

TEST_CASE("gdb packet: a packet that begins inside another: only the second counts") {
  const auto items = decode("$half$g#67");
  REQUIRE(items.size() == 1);
  CHECK(items[0].payload == "g");
}

TEST_CASE("gdb packet: payload beyond the limit: is refused, the next one is taken") {
  const auto items = decode(encode_packet(std::string(kPacketMax + 1, 'a')) + "$g#67");
  REQUIRE(items.size() == 2);
  CHECK(items[0].kind == PacketItem::Kind::Oversized);
  CHECK(items[1].payload == "g");
}

TEST_CASE("gdb packet: hexadecimal: refuses what is none") {
  CHECK(from_hex("6162") == "ab");
  CHECK_FALSE(from_hex("616"));
  CHECK_FALSE(from_hex("6g"));
  CHECK(parse_hex("ffffffffffffffff") == ~uint64_t{0});
  CHECK_FALSE(parse_hex("10000000000000000"));
  CHECK_FALSE(parse_hex(""));
  CHECK_FALSE(parse_hex("-1"));
}

}  // namespace pando::gdb

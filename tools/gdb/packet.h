// SPDX-License-Identifier: Apache-2.0
// Framing of GDB's Remote Serial Protocol (GDB manual, appendix E.1): `$payload#checksum`, acknowledged by + or -.
// Bytes come from whoever connected: bounded memory, no input is an error of ours.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pando::gdb {

// Longest payload either side may send, bytes after unescaping (qSupported's PacketSize).
inline constexpr size_t kPacketMax = 0x4000;

// What one or more received bytes amount to.
struct PacketItem {
  enum class Kind : uint8_t { Packet, BadChecksum, Oversized, Ack, Nak, Interrupt };
  Kind kind{};
  std::string payload;  // Packet only, unescaped
};

class PacketDecoder {
 public:
  // Takes one byte; returns an item when the byte completes one.
  std::optional<PacketItem> push(uint8_t byte);

 private:
  enum class State : uint8_t { Idle, Payload, Escaped, ChecksumHigh, ChecksumLow };
  std::optional<PacketItem> push_idle(uint8_t byte);
  void push_payload(uint8_t byte);
  PacketItem finish(uint8_t byte);

  State state_ = State::Idle;
  std::string payload_;
  bool oversized_ = false;
  uint8_t sum_ = 0;
  int announced_ = 0;  // checksum as sent; negative = not hexadecimal
};

// `$payload#checksum` with the payload escaped where it must be.
std::string encode_packet(std::string_view payload);

// Hexadecimal coding of bytes, as used inside payloads.
std::string to_hex(std::string_view bytes);
// nullopt for an odd length or a digit that is none.
std::optional<std::string> from_hex(std::string_view hex);
// A whole number without sign or prefix; nullopt if empty, too long or followed by anything else.
std::optional<uint64_t> parse_hex(std::string_view hex);

}  // namespace pando::gdb

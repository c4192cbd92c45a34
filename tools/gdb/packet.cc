// SPDX-License-Identifier: Apache-2.0
#include "tools/gdb/packet.h"

namespace pando::gdb {

namespace {

constexpr uint8_t kEscape = 0x7d;
constexpr uint8_t kEscapeXor = 0x20;
constexpr uint8_t kInterrupt = 0x03;
constexpr char kDigits[] = "0123456789abcdef";

int digit_value(uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool must_escape(char c) { return c == '$' || c == '#' || c == '*' || static_cast<uint8_t>(c) == kEscape; }

}  // namespace

std::optional<PacketItem> PacketDecoder::push(uint8_t byte) {
  switch (state_) {
    case State::Idle: return push_idle(byte);
    case State::Payload:
    case State::Escaped: push_payload(byte); return std::nullopt;
    case State::ChecksumHigh:
      announced_ = digit_value(byte) * 16;
      state_ = State::ChecksumLow;
      return std::nullopt;
    case State::ChecksumLow: return finish(byte);
  }
  return std::nullopt;
}

std::optional<PacketItem> PacketDecoder::push_idle(uint8_t byte) {
  switch (byte) {
    case '+': return PacketItem{PacketItem::Kind::Ack, {}};
    case '-': return PacketItem{PacketItem::Kind::Nak, {}};
    case kInterrupt: return PacketItem{PacketItem::Kind::Interrupt, {}};
    case '$':
      state_ = State::Payload;
      payload_.clear();
      oversized_ = false;
      sum_ = 0;
      return std::nullopt;
    default: return std::nullopt;  // line noise between packets
  }
}

void PacketDecoder::push_payload(uint8_t byte) {
  if (state_ == State::Payload) {
    if (byte == '#') {
      state_ = State::ChecksumHigh;
      return;
    }
    if (byte == '$') {  // never inside a payload: the sender gave up and began again
      push_idle(byte);
      return;
    }
  }
  sum_ = static_cast<uint8_t>(sum_ + byte);
  if (state_ == State::Payload && byte == kEscape) {
    state_ = State::Escaped;
    return;
  }
  const uint8_t plain = state_ == State::Escaped ? byte ^ kEscapeXor : byte;
  state_ = State::Payload;
  if (payload_.size() < kPacketMax)
    payload_.push_back(static_cast<char>(plain));
  else
    oversized_ = true;
}

PacketItem PacketDecoder::finish(uint8_t byte) {
  state_ = State::Idle;
  const int low = digit_value(byte);
  if (announced_ < 0 || low < 0 || announced_ + low != sum_) return {PacketItem::Kind::BadChecksum, {}};
  if (oversized_) return {PacketItem::Kind::Oversized, {}};
  return {PacketItem::Kind::Packet, std::move(payload_)};
}

std::string encode_packet(std::string_view payload) {
  std::string out = "$";
  out.reserve(payload.size() + 4);
  uint8_t sum = 0;
  const auto put = [&](char c) {
    out.push_back(c);
    sum = static_cast<uint8_t>(sum + static_cast<uint8_t>(c));
  };
  for (const char c : payload) {
    if (must_escape(c)) {
      put(static_cast<char>(kEscape));
      put(static_cast<char>(c ^ kEscapeXor));
    } else {
      put(c);
    }
  }
  out.push_back('#');
  out.push_back(kDigits[sum >> 4]);
  out.push_back(kDigits[sum & 15]);
  return out;
}

std::string to_hex(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    out.push_back(kDigits[static_cast<uint8_t>(c) >> 4]);
    out.push_back(kDigits[static_cast<uint8_t>(c) & 15]);
  }
  return out;
}

std::optional<std::string> from_hex(std::string_view hex) {
  if (hex.size() % 2 != 0) return std::nullopt;
  std::string out;
  out.reserve(hex.size() / 2);
  for (size_t i = 0; i < hex.size(); i += 2) {
    const int high = digit_value(static_cast<uint8_t>(hex[i]));
    const int low = digit_value(static_cast<uint8_t>(hex[i + 1]));
    if (high < 0 || low < 0) return std::nullopt;
    out.push_back(static_cast<char>(high * 16 + low));
  }
  return out;
}

std::optional<uint64_t> parse_hex(std::string_view hex) {
  if (hex.empty() || hex.size() > 16) return std::nullopt;
  uint64_t value = 0;
  for (const char c : hex) {
    const int digit = digit_value(static_cast<uint8_t>(c));
    if (digit < 0) return std::nullopt;
    value = value << 4 | static_cast<uint64_t>(digit);
  }
  return value;
}

}  // namespace pando::gdb

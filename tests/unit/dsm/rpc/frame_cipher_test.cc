// SPDX-License-Identifier: Apache-2.0
#include "dsm/rpc/frame_cipher.h"

#include "tests/catch.h"

namespace pando::dsm {
namespace {

struct Sealed {
  std::vector<uint8_t> bytes;
  std::vector<uint8_t> tag;
};

Sealed seal(FrameCipher& cipher, const std::string& text) {
  Sealed s{{text.begin(), text.end()}, std::vector<uint8_t>(cipher.tag_bytes())};
  cipher.seal(s.bytes, s.tag.data());
  return s;
}

TEST_CASE("frame cipher: frames in order open to what was sealed") {
  const std::string key = random_bytes(FrameCipher::kKeyBytes);
  FrameCipher out(key), in(key);
  for (const std::string text : {"first", "", "a longer frame than one block of the cipher"}) {
    Sealed s = seal(out, text);
    if (!text.empty()) CHECK(std::string(s.bytes.begin(), s.bytes.end()) != text);
    REQUIRE(in.open(s.bytes, s.tag.data()));
    CHECK(std::string(s.bytes.begin(), s.bytes.end()) == text);
  }
}

TEST_CASE("frame cipher: a changed, repeated or foreign frame does not open") {
  const std::string key = random_bytes(FrameCipher::kKeyBytes);
  FrameCipher out(key);
  const Sealed first = seal(out, "one"), second = seal(out, "two");
  const auto opens = [](FrameCipher& in, Sealed s) { return in.open(s.bytes, s.tag.data()); };
  FrameCipher in(key);
  Sealed changed = first;
  changed.bytes[0] ^= 1;
  CHECK_FALSE(opens(in, changed));
  FrameCipher skips(key);
  CHECK_FALSE(opens(skips, second));
  FrameCipher repeats(key);
  REQUIRE(opens(repeats, first));
  CHECK_FALSE(opens(repeats, first));
  FrameCipher stranger(random_bytes(FrameCipher::kKeyBytes));
  CHECK_FALSE(opens(stranger, first));
}

TEST_CASE("frame cipher: without a key frames stay as they are") {
  FrameCipher plain("");
  CHECK(plain.tag_bytes() == 0);
  const Sealed s = seal(plain, "text");
  CHECK(std::string(s.bytes.begin(), s.bytes.end()) == "text");
}

}  // namespace
}  // namespace pando::dsm

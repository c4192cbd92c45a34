// SPDX-License-Identifier: Apache-2.0
// One direction of a direct link: frames under AES-256-GCM, numbered from 0.  The key came over the TLS stream that
// negotiated the link (peer_mesh.h), is used for this direction of this link alone, and dies with it; so the number is
// nonce enough, and a frame that is changed, repeated, left out or out of order does not open.
#pragma once

#include <openssl/evp.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace pando::dsm {

class FrameCipher {
 public:
  static constexpr size_t kKeyBytes = 32;
  static constexpr size_t kTagBytes = 16;

  // An empty key means plaintext: seal() and open() leave frames alone.  Else kKeyBytes.
  explicit FrameCipher(const std::string& key);

  size_t tag_bytes() const { return context_ ? kTagBytes : 0; }
  // Encrypts in place and writes the tag; `tag` has tag_bytes().
  void seal(std::span<uint8_t> frame, uint8_t* tag);
  // False: not what the other side sealed at this place.
  bool open(std::span<uint8_t> frame, const uint8_t* tag);

 private:
  struct Free {
    void operator()(EVP_CIPHER_CTX* c) const { EVP_CIPHER_CTX_free(c); }
  };
  void next_nonce(uint8_t* nonce);
  std::unique_ptr<EVP_CIPHER_CTX, Free> context_;
  uint64_t number_ = 0;
};

std::string random_bytes(size_t count);

}  // namespace pando::dsm

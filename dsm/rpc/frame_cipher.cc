// SPDX-License-Identifier: Apache-2.0
#include "dsm/rpc/frame_cipher.h"

#include <openssl/rand.h>

#include <cstring>

#include "base/error.h"

namespace pando::dsm {

namespace {

constexpr size_t kNonceBytes = 12;

}  // namespace

FrameCipher::FrameCipher(const std::string& key) {
  if (key.empty()) return;
  CHECK(key.size() == kKeyBytes);
  context_.reset(EVP_CIPHER_CTX_new());
  const auto* bytes = reinterpret_cast<const uint8_t*>(key.data());
  // The direction (encrypt or decrypt) is set with each frame.
  CHECK(context_ && EVP_CipherInit_ex(context_.get(), EVP_aes_256_gcm(), nullptr, bytes, nullptr, 1) == 1);
}

void FrameCipher::next_nonce(uint8_t* nonce) {
  std::memset(nonce, 0, kNonceBytes);
  std::memcpy(nonce, &number_, sizeof number_);
  ++number_;
}

void FrameCipher::seal(std::span<uint8_t> frame, uint8_t* tag) {
  if (!context_) return;
  uint8_t nonce[kNonceBytes];
  next_nonce(nonce);
  int n = 0;
  EVP_CIPHER_CTX* c = context_.get();
  CHECK(EVP_CipherInit_ex(c, nullptr, nullptr, nullptr, nonce, 1) == 1 &&
        EVP_CipherUpdate(c, frame.data(), &n, frame.data(), static_cast<int>(frame.size())) == 1 &&
        EVP_CipherFinal_ex(c, frame.data() + n, &n) == 1 &&
        EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, kTagBytes, tag) == 1);
}

bool FrameCipher::open(std::span<uint8_t> frame, const uint8_t* tag) {
  if (!context_) return true;
  uint8_t nonce[kNonceBytes];
  next_nonce(nonce);
  uint8_t expected[kTagBytes];
  std::memcpy(expected, tag, kTagBytes);
  int n = 0;
  EVP_CIPHER_CTX* c = context_.get();
  return EVP_CipherInit_ex(c, nullptr, nullptr, nullptr, nonce, 0) == 1 &&
         EVP_CipherUpdate(c, frame.data(), &n, frame.data(), static_cast<int>(frame.size())) == 1 &&
         EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, kTagBytes, expected) == 1 &&
         EVP_CipherFinal_ex(c, frame.data() + n, &n) == 1;
}

std::string random_bytes(size_t count) {
  std::string bytes(count, '\0');
  CHECK(RAND_bytes(reinterpret_cast<uint8_t*>(bytes.data()), static_cast<int>(count)) == 1);
  return bytes;
}

}  // namespace pando::dsm

// SPDX-License-Identifier: Apache-2.0
#include "tools/tls/authority.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <array>

#include "base/error.h"

namespace pando::tls {
namespace {

template <auto free_function>
struct Free {
  template <class T>
  void operator()(T* pointer) const {
    free_function(pointer);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Free<X509_EXTENSION_free>>;
using Bio = std::unique_ptr<BIO, Free<BIO_free>>;

constexpr long kClockSlack = 3600;  // seconds: hosts' clocks may differ

void require(bool good, const char* what) {
  if (good) return;
  std::array<char, 256> reason{};
  ERR_error_string_n(ERR_get_error(), reason.data(), reason.size());
  throw HostError(std::string("OpenSSL: ") + what + ": " + reason.data(), EIO);
}

Key make_key() {
  Key key(EVP_EC_gen("P-256"));
  require(key != nullptr, "make a key");
  return key;
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long bytes = BIO_get_mem_data(bio, &data);
  require(bytes > 0, "write PEM");
  return {data, static_cast<size_t>(bytes)};
}

std::string to_pem(X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  require(bio && PEM_write_bio_X509(bio.get(), certificate) == 1, "write a certificate");
  return text_of(bio.get());
}

std::string to_pem(EVP_PKEY* key) {
  const Bio bio(BIO_new(BIO_s_mem()));
  require(
      bio && PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1,
      "write a key");
  return text_of(bio.get());
}

void set_random_serial(X509* certificate) {
  std::array<unsigned char, 16> bytes{};
  require(RAND_bytes(bytes.data(), bytes.size()) == 1, "read randomness");
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7f) | 0x40);  // positive, of full length
  const std::unique_ptr<BIGNUM, Free<BN_free>> number(
      BN_bin2bn(bytes.data(), bytes.size(), nullptr));
  require(number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)),
          "set a serial number");
}

void set_common_name(X509_NAME* name, const std::string& text) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  require(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, bytes,
                                     static_cast<int>(text.size()), -1, 0) == 1,
          "set a name");
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  require(extension && X509_add_ext(certificate, extension.get(), -1) == 1, "add an extension");
}

Certificate make_certificate(const std::string& common_name, EVP_PKEY* key,
                             std::chrono::hours validity) {
  Certificate out(X509_new());
  require(out && X509_set_version(out.get(), X509_VERSION_3) == 1, "make a certificate");
  set_random_serial(out.get());
  const long seconds = static_cast<long>(std::chrono::seconds(validity).count());
  require(X509_gmtime_adj(X509_getm_notBefore(out.get()), -kClockSlack) != nullptr, "set the time");
  require(X509_gmtime_adj(X509_getm_notAfter(out.get()), seconds + kClockSlack) != nullptr,
          "set the time");
  require(X509_set_pubkey(out.get(), key) == 1, "set the key");
  set_common_name(X509_get_subject_name(out.get()), common_name);
  return out;
}

bool is_address(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  return inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

std::string alternative_names(const std::string& common_name,
                              const std::vector<std::string>& hosts) {
  std::string out = "DNS:" + common_name;
  for (const std::string& host : hosts) out += (is_address(host) ? ",IP:" : ",DNS:") + host;
  return out;
}

}  // namespace

struct Authority::Keys {
  Key key;
  Certificate certificate;
};

Authority::Authority(std::unique_ptr<Keys> keys, Identity identity)
    : keys_(std::move(keys)), identity_(std::move(identity)) {}
Authority::Authority(Authority&&) noexcept = default;
Authority& Authority::operator=(Authority&&) noexcept = default;
Authority::~Authority() = default;

Authority Authority::create(const std::string& cluster, std::chrono::hours validity) {
  auto keys = std::make_unique<Keys>();
  keys->key = make_key();
  keys->certificate = make_certificate("Pando cluster " + cluster, keys->key.get(), validity);
  X509* self = keys->certificate.get();
  require(X509_set_issuer_name(self, X509_get_subject_name(self)) == 1, "set the issuer");
  add_extension(self, self, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  add_extension(self, self, NID_key_usage, "critical,keyCertSign,cRLSign");
  add_extension(self, self, NID_subject_key_identifier, "hash");
  require(X509_sign(self, keys->key.get(), EVP_sha256()) > 0, "sign");
  Identity identity{to_pem(self), to_pem(keys->key.get())};
  return {std::move(keys), std::move(identity)};
}

Authority Authority::load(const Identity& pem, const std::string& where) {
  auto keys = std::make_unique<Keys>();
  const Bio certificate(
      BIO_new_mem_buf(pem.certificate.data(), static_cast<int>(pem.certificate.size())));
  const Bio key(BIO_new_mem_buf(pem.private_key.data(), static_cast<int>(pem.private_key.size())));
  require(certificate && key, "read PEM");
  keys->certificate.reset(PEM_read_bio_X509(certificate.get(), nullptr, nullptr, nullptr));
  keys->key.reset(PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  const bool good = keys->certificate && keys->key &&
                    X509_check_private_key(keys->certificate.get(), keys->key.get()) == 1;
  if (!good)
    throw UserError(where + ": this is no certificate with its key; make new ones with pando init");
  return {std::move(keys), pem};
}

Identity Authority::sign(const std::string& common_name, const std::vector<std::string>& hosts,
                         std::chrono::hours validity) const {
  const Key key = make_key();
  const Certificate certificate = make_certificate(common_name, key.get(), validity);
  X509* issuer = keys_->certificate.get();
  require(X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer)) == 1,
          "set the issuer");
  add_extension(certificate.get(), issuer, NID_basic_constraints, "critical,CA:FALSE");
  add_extension(certificate.get(), issuer, NID_key_usage, "critical,digitalSignature");
  add_extension(certificate.get(), issuer, NID_ext_key_usage, "serverAuth,clientAuth");
  add_extension(certificate.get(), issuer, NID_subject_alt_name,
                alternative_names(common_name, hosts));
  add_extension(certificate.get(), issuer, NID_authority_key_identifier, "keyid");
  require(X509_sign(certificate.get(), keys_->key.get(), EVP_sha256()) > 0, "sign");
  return {to_pem(certificate.get()), to_pem(key.get())};
}

std::string node_name(size_t node_id) {
  return "node-" + std::to_string(node_id);
}

std::string random_id() {
  std::array<unsigned char, 16> bytes{};
  require(RAND_bytes(bytes.data(), bytes.size()) == 1, "read randomness");
  std::string out;
  for (const unsigned char byte : bytes) {
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out;
}

}  // namespace pando::tls

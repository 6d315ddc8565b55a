// SPDX-License-Identifier: LGPL-2.1-or-later
//
// crypto-bench: how fast packets are sealed and opened, next to what wolfSSL does with the bare
// algorithms, on one thread. Prints megabytes of clear packet per second; takes the packet size as
// an argument (default 1424). A tool for developers, not a test: it judges nothing.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

#include "engine/crypto/keyring.h"
#include "engine/crypto/wolfssl/aead_cipher.h"
#include "engine/crypto/wolfssl/aes.h"
#include "engine/crypto/wolfssl/hmac.h"
#include "engine/crypto/wolfssl/make_sealer.h"
#include "engine/crypto/wolfssl/random_pool.h"

namespace ringknet {
namespace {

using Buffer = std::vector<std::byte>;

// Processor time of this thread: the machine may have other things to do.
double seconds_of_thread() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

constexpr int kRuns = 150;
constexpr int kPacketsPerRun = 200;

// The best of many short runs, for the same reason.
double megabytes_per_second(std::size_t size, const std::function<void()>& work) {
  double best = 0;
  for (int run = 0; run < kRuns; ++run) {
    const double begin = seconds_of_thread();
    for (int i = 0; i < kPacketsPerRun; ++i)
      work();
    const double spent = seconds_of_thread() - begin;
    best = std::max(best, static_cast<double>(size) * kPacketsPerRun / spent / 1e6);
  }
  return best;
}

void fail(const char* what) {
  std::fprintf(stderr, "crypto-bench: %s\n", what);
  std::exit(1);
}

void must(bool good, const char* what) {
  if (!good)
    fail(what);
}

Buffer key() {
  Buffer bytes(128);
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::byte>(i);
  return bytes;
}

void bare_cbc(std::size_t size, std::size_t key_size) {
  const std::size_t blocks = (size + 16) / 16 * 16;
  Buffer text(blocks);
  const Buffer iv(16);
  AesContext encryption, decryption;
  must(encryption.set(ConstBytes(key()).first(key_size), AES_ENCRYPTION), "key");
  must(decryption.set(ConstBytes(key()).first(key_size), AES_DECRYPTION), "key");
  const double encrypt = megabytes_per_second(size, [&] {
    wc_AesSetIV(encryption.get(), octets(iv.data()));
    wc_AesCbcEncrypt(encryption.get(), octets(text.data()), octets(text.data()),
                     static_cast<word32>(blocks));
  });
  const double decrypt = megabytes_per_second(size, [&] {
    wc_AesSetIV(decryption.get(), octets(iv.data()));
    wc_AesCbcDecrypt(decryption.get(), octets(text.data()), octets(text.data()),
                     static_cast<word32>(blocks));
  });
  std::printf("bare   AES-%zu-CBC            %8.0f %8.0f\n", key_size * 8, encrypt, decrypt);
}

template <typename Hash>
void bare_hash(const char* name, std::size_t size) {
  const Buffer text(size);
  Buffer digest(Hash::kDigestSize);
  typename Hash::State state{};
  const double speed = megabytes_per_second(size, [&] {
    static_cast<void>(Hash::init(state) && Hash::update(state, text) &&
                      Hash::finish(state, digest.data()));
  });
  std::printf("bare   %-22s %8.0f %8.0f\n", name, speed, speed);
}

template <typename Type>
void bare_aead(const char* name, std::size_t size, std::size_t key_size) {
  Type cipher;
  must(cipher.set(ConstBytes(key()).first(key_size)), "key");
  const AeadNonce nonce{};
  const Buffer header(16);
  Buffer text(size);
  Buffer tag(16);
  const double encrypt = megabytes_per_second(
      size, [&] { must(cipher.seal(nonce, header, text, tag.data()), "seal"); });
  Buffer out(size);
  const double decrypt = megabytes_per_second(
      size, [&] { must(cipher.open(nonce, header, text, tag.data(), out.data()), "open"); });
  std::printf("bare   %-22s %8.0f %8.0f\n", name, encrypt, decrypt);
}

// Opening consumes a packet, and a native one opens once: so packets are sealed ahead in batches
// and only the opening is timed.
double open_speed(Keyring& sender, Keyring& receiver, std::size_t size) {
  std::vector<Buffer> packets(kPacketsPerRun, Buffer(sender.shape().size(size)));
  double best = 0;
  for (int run = 0; run < kRuns; ++run) {
    for (Buffer& packet : packets)
      must(sender.seal(packet, size), "seal");
    const double begin = seconds_of_thread();
    for (Buffer& packet : packets) {
      const OpenResult result = receiver.open(packet);
      must(std::holds_alternative<Opened>(result), "open");
    }
    const double spent = seconds_of_thread() - begin;
    best = std::max(best, static_cast<double>(size) * kPacketsPerRun / spent / 1e6);
  }
  return best;
}

void suite(const char* cipher, const char* hash, std::size_t size) {
  SystemRandom system;
  RandomPool pool(system);
  Keyring sender(HostId{1}, pool), receiver(HostId{2}, pool);
  receiver.add_sender(HostId{1});
  for (Keyring* keyring : {&sender, &receiver}) {
    MadeSealer made = make_sealer(*keyring, "wolfssl", cipher, hash, key());
    must(std::holds_alternative<std::unique_ptr<Sealer>>(made), "suite");
    must(keyring->install(1, std::move(std::get<std::unique_ptr<Sealer>>(made))).ok(), "install");
    must(keyring->use(1).ok(), "use");
  }
  Buffer packet(sender.shape().size(size));
  const double seal = megabytes_per_second(size, [&] { must(sender.seal(packet, size), "seal"); });
  const double open = open_speed(sender, receiver, size);
  std::printf("packet %-14s %-7s %8.0f %8.0f   %5.0f ns %5.0f ns\n", cipher, hash, seal, open,
              static_cast<double>(size) * 1e3 / seal, static_cast<double>(size) * 1e3 / open);
}

// What a packet costs that names an epoch nobody knows: a key derivation and a failed try.
void strangers(std::size_t size) {
  SystemRandom system;
  RandomPool pool(system);
  Keyring receiver(HostId{2}, pool);
  receiver.allow_clear(false);
  receiver.add_sender(HostId{1});
  MadeSealer made = make_sealer(receiver, "wolfssl", "aes256gcm", "none", key());
  must(receiver.install(1, std::move(std::get<std::unique_ptr<Sealer>>(made))).ok(), "install");
  Buffer packet(size + 32);
  packet[1] = std::byte{1};
  packet[15] = std::byte{1};
  std::uint32_t epoch = 0;
  const double speed = megabytes_per_second(size, [&] {
    ++epoch;
    std::memcpy(packet.data() + 2, &epoch, sizeof epoch);
    must(std::holds_alternative<Drop>(receiver.open(packet)), "a forgery was opened");
  });
  std::printf("forged packet of an unknown epoch: %.0f ns\n",
              static_cast<double>(size) * 1e3 / speed);
}

}  // namespace
}  // namespace ringknet

int main(int argc, char** argv) {
  using namespace ringknet;
  const std::size_t size = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 1424;
  if (size == 0 || size > 65000)
    fail("the packet size is 1..65000");
  const CryptoLibrary library = crypto_library();
  std::printf("wolfSSL %s, %s; packets of %zu bytes; MB/s of clear packet\n",
              std::string(library.version).c_str(),
              library.accelerated ? "accelerated" : "not accelerated", size);
  std::printf("                                  seal     open\n");
  bare_cbc(size, 16);
  bare_cbc(size, 32);
  bare_hash<Md5Hash>("MD5", size);
  bare_hash<Sha1Hash>("SHA-1", size);
  bare_hash<Sha256Hash>("SHA-256", size);
  bare_hash<Sha512Hash>("SHA-512", size);
  bare_aead<GcmCipher>("AES-128-GCM", size, 16);
  bare_aead<GcmCipher>("AES-256-GCM", size, 32);
  bare_aead<ChaChaPolyCipher>("ChaCha20-Poly1305", size, 32);
  for (const char* cipher : {"none", "aes128", "aes256", "aes-256-ctr"}) {
    for (const char* hash : {"md5", "sha1", "sha256", "sha384", "sha512"})
      suite(cipher, hash, size);
  }
  for (const char* cipher : {"aes128gcm", "aes256gcm", "chachapoly1305"})
    suite(cipher, "none", size);
  strangers(size);
  return 0;
}

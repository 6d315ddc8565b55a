// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A process that ends by exit() while its handles carry encrypted traffic: static objects are
// destroyed then, and engine threads go on. Nothing that they use may be among those.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "tests/api/support.h"

using knet_test::on_peer;
using knet_test::Pair;

namespace {

[[noreturn]] void exit_under_traffic(const char* cipher) {
  alarm(60);
  auto* pair = new Pair;  // never destroyed: its engines are to be running
  knet_handle_crypto_cfg config{};
  std::strcpy(config.crypto_model, "wolfssl");
  std::strcpy(config.crypto_cipher_type, cipher);
  std::strcpy(config.crypto_hash_type, "none");
  std::memset(config.private_key, 7, sizeof(config.private_key));
  config.private_key_len = KNET_MAX_KEY_LEN;
  if (knet_handle_crypto(pair->one, &config) != 0 || knet_handle_crypto(pair->two, &config) != 0)
    _exit(2);
  std::thread([pair] {
    static char message[8000];
    for (;;) {
      if (knet_send(pair->one, message, sizeof(message), 0) < 0)
        std::this_thread::yield();
    }
  }).detach();
  static char received[KNET_MAX_PACKET_SIZE];
  for (int count = 0; count < 200;) {
    if (knet_recv(pair->two, received, sizeof(received), 0) > 0)
      ++count;
    else
      std::this_thread::yield();
  }
  exit(0);
}

}  // namespace

TEST_CASE("exit() under encrypted traffic ends cleanly") {
  if (on_peer()) {
    return;
  }
  for (const char* cipher : {"aes256gcm", "chachapoly1305"}) {
    CAPTURE(cipher);
    std::fflush(nullptr);
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0)
      exit_under_traffic(cipher);
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  }
}

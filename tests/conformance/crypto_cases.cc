// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Statements about encryption: slots and their rules, -1 and -2, which names the models take, clear
// traffic, and messages between two encrypting nodes. That both libraries read each other is the
// interop tests' matter.
#include <climits>
#include <cstring>

#include "tests/conformance/field.h"
#include "tests/conformance/world.h"

namespace conformance {
namespace {

constexpr unsigned kKeySize = 256;

knet_handle_crypto_cfg config(const char* model, const char* cipher, const char* hash,
                              unsigned key_size = kKeySize) {
  knet_handle_crypto_cfg made{};
  fill_field(made.crypto_model, model);
  fill_field(made.crypto_cipher_type, cipher);
  fill_field(made.crypto_hash_type, hash);
  std::memset(made.private_key, 0x5a, sizeof(made.private_key));
  made.private_key_len = key_size;
  return made;
}

Outcome set(Node& node, knet_handle_crypto_cfg cfg, uint8_t slot = 1) {
  return call([&] { return knet_handle_crypto_set_config(node, &cfg, slot); });
}

Outcome legacy(Node& node, knet_handle_crypto_cfg cfg) {
  return call([&] { return knet_handle_crypto(node, &cfg); });
}

const Outcome kNoModel = gives(-2);
const Outcome kNoSuite = gives(-2, ENXIO);
const Outcome kBadSuite = gives(-2, EINVAL);

// The models of the peer are plug-ins, which may be missing.
void need_models(Node& node) {
  for (const char* model : {"nss", "openssl"}) {
    const Outcome tried = set(node, config(model, "aes128", "sha1"), 2);
    if (tried.text != kOk.text && on_peer()) {
      skip(std::string("the peer has no plug-in for ") + model);
    }
  }
  NEED(set(node, config("none", "none", "none"), 2).text == kOk.text);
}

}  // namespace

CONFORMANCE_CASE(crypto_set_config_arguments) {
  Node node;
  knet_handle_crypto_cfg cfg = config("nss", "aes128", "sha1");
  CALL(fails(EINVAL), knet_handle_crypto_set_config(node, nullptr, 1));
  CALL(fails(EINVAL), knet_handle_crypto_set_config(node, &cfg, 0));
  CALL(fails(EINVAL), knet_handle_crypto_set_config(node, &cfg, 3));
  CALL(fails(EINVAL), knet_handle_crypto_set_config(node, &cfg, UINT8_MAX));
  VALUE(fails(EINVAL), set(node, config("nss", "aes128", "sha1", 127)));
  VALUE(fails(EINVAL), set(node, config("nss", "aes128", "sha1", 4097)));
  VALUE(fails(EINVAL), set(node, config("nss", "aes128", "sha1", 0)));
  VALUE(fails(EINVAL), set(node, config("nss", "aes128", "sha1", UINT_MAX)));
  // The key is looked at before the model, but after "none".
  VALUE(fails(EINVAL), set(node, config("nosuch", "aes128", "sha1", 127)));
  VALUE(fails(EINVAL), set(node, knet_handle_crypto_cfg{}));
  VALUE(kOk, set(node, config("none", "aes128", "sha1", 0)));
  VALUE(kOk, set(node, config("nonesuch", "aes128", "sha1", 0)));
  VALUE(kOk, set(node, config("nosuch", "none", "none", 0)));
  VALUE(kOk, set(node, config("nss", "nonesuch", "nonesuch", UINT_MAX)));
}

CONFORMANCE_CASE(crypto_models_and_names) {
  Node node;
  need_models(node);
  VALUE(kNoModel, set(node, config("nosuch", "aes128", "sha1")));
  VALUE(kNoModel, set(node, config("", "aes128", "sha1")));
  VALUE(kNoModel, set(node, config("NSS", "aes128", "sha1")));
  VALUE(kNoModel, set(node, config("nss2", "aes128", "sha1")));
  VALUE(differs("model wolfssl exists", kOk, kNoModel),
        set(node, config("wolfssl", "aes128gcm", "none")));
  for (const char* model : {"nss", "openssl"}) {
    for (const char* cipher : {"aes128", "aes192", "aes256"}) {
      for (const char* hash : {"md5", "sha1", "sha256", "sha384", "sha512"}) {
        VALUE(kOk, set(node, config(model, cipher, hash)));
      }
      VALUE(kBadSuite, set(node, config(model, cipher, "none")));
    }
    VALUE(kOk, set(node, config(model, "none", "sha256")));
    VALUE(kNoSuite, set(node, config(model, "nosuch", "sha256")));
    VALUE(kNoSuite, set(node, config(model, "aes128", "nosuch")));
    VALUE(kNoSuite, set(node, config(model, "", "sha256")));
    VALUE(kNoSuite, set(node, config(model, "aes128", "")));
  }
  for (const unsigned size : {128U, 2003U, 4096U}) {
    VALUE(kOk, set(node, config("nss", "aes256", "sha256", size)));
    VALUE(kOk, set(node, config("openssl", "aes256", "sha256", size)));
  }
}

CONFORMANCE_CASE(crypto_names_of_openssl) {
  Node node;
  need_models(node);
  for (const char* cipher : {"aes-128-cbc", "aes-192-cbc", "aes-256-cbc", "AES256", "AES-256-CBC",
                             "aes-128-ctr", "aes-192-ctr", "aes-256-ctr"}) {
    VALUE(kOk, set(node, config("openssl", cipher, "sha256")));
  }
  for (const char* hash : {"SHA256", "sha224", "Sha1", "MD5"}) {
    VALUE(kOk, set(node, config("openssl", "aes128", hash)));
  }
  // The classic nss model takes exactly its own names.
  for (const char* cipher : {"AES128", "AES-128-CTR", "3des"}) {
    VALUE(kNoSuite, set(node, config("nss", cipher, "sha256")));
  }
  const char* ctr = "CTR mode has two names in every model";
  for (const char* cipher : {"aes-128-ctr", "aes-192-ctr", "aes-256-ctr"}) {
    VALUE(differs(ctr, kOk, kNoSuite), set(node, config("nss", cipher, "sha256")));
  }
  for (const char* cipher : {"aes128-ctr", "aes192-ctr", "aes256-ctr"}) {
    VALUE(differs(ctr, kOk, kNoSuite), set(node, config("nss", cipher, "sha256")));
    VALUE(differs(ctr, kOk, kNoSuite), set(node, config("openssl", cipher, "sha256")));
  }
  VALUE(kNoSuite, set(node, config("nss", "aes128", "SHA256")));
  const char* reason = "of OpenSSL's names only those of AES and SHA-2 (and md5, sha1) are known";
  for (const char* cipher : {"chacha20", "camellia256"}) {
    VALUE(differs(reason, kNoSuite, kOk), set(node, config("openssl", cipher, "sha256")));
  }
  VALUE(differs(reason, kNoSuite, kOk), set(node, config("openssl", "aes128", "sha3-256")));
}

CONFORMANCE_CASE(crypto_slots) {
  Node node;
  need_models(node);
  CALL(fails(EINVAL), knet_handle_crypto_use_config(node, 3));
  CALL(fails(EINVAL), knet_handle_crypto_use_config(node, UINT8_MAX));
  CALL(fails(EINVAL), knet_handle_crypto_use_config(node, 1));
  CALL(fails(EINVAL), knet_handle_crypto_use_config(node, 2));
  CALL(kOk, knet_handle_crypto_use_config(node, 0));
  VALUE(kOk, set(node, config("nss", "aes128", "sha1"), 1));
  VALUE(kOk, set(node, config("nss", "aes128", "sha1"), 1));
  VALUE(kOk, set(node, config("openssl", "aes256", "sha256"), 2));
  CALL(kOk, knet_handle_crypto_use_config(node, 1));
  CALL(kOk, knet_handle_crypto_use_config(node, 1));
  VALUE(fails(EBUSY), set(node, config("nss", "aes128", "sha1"), 1));
  VALUE(fails(EBUSY), set(node, config("none", "none", "none"), 1));
  VALUE(fails(EBUSY), set(node, config("nosuch", "none", "aes", 0), 1));
  VALUE(kOk, set(node, config("nss", "aes256", "sha512"), 2));
  CALL(kOk, knet_handle_crypto_use_config(node, 2));
  VALUE(kOk, set(node, config("none", "none", "none"), 1));
  CALL(fails(EINVAL), knet_handle_crypto_use_config(node, 1));
  // A refused configuration leaves the slot as it was.
  VALUE(kOk, set(node, config("nss", "aes128", "sha1"), 1));
  VALUE(kNoSuite, set(node, config("nss", "nosuch", "sha1"), 1));
  VALUE(kNoModel, set(node, config("nosuch", "aes128", "sha1"), 1));
  CALL(kOk, knet_handle_crypto_use_config(node, 1));
  CALL(kOk, knet_handle_crypto_use_config(node, 0));
}

CONFORMANCE_CASE(crypto_clear_traffic_arguments) {
  Node node;
  CALL(fails(EINVAL), knet_handle_crypto_rx_clear_traffic(node, 2));
  CALL(fails(EINVAL), knet_handle_crypto_rx_clear_traffic(node, UINT8_MAX));
  CALL(kOk, knet_handle_crypto_rx_clear_traffic(node, KNET_CRYPTO_RX_DISALLOW_CLEAR_TRAFFIC));
  CALL(kOk, knet_handle_crypto_rx_clear_traffic(node, KNET_CRYPTO_RX_ALLOW_CLEAR_TRAFFIC));
}

CONFORMANCE_CASE(crypto_legacy_call) {
  Node node;
  need_models(node);
  CALL(fails(EINVAL), knet_handle_crypto(node, nullptr));
  VALUE(fails(EINVAL), legacy(node, config("nss", "aes128", "sha1", 127)));
  VALUE(fails(EINVAL), legacy(node, config("nss", "aes128", "sha1", 4097)));
  VALUE(fails(EINVAL), legacy(node, knet_handle_crypto_cfg{}));
  VALUE(kNoModel, legacy(node, config("nosuch", "aes128", "sha1")));
  VALUE(kNoSuite, legacy(node, config("nss", "nosuch", "sha1")));
  VALUE(kBadSuite, legacy(node, config("nss", "aes128", "none")));
  VALUE(kOk, legacy(node, config("none", "none", "none", 0)));
  VALUE(kOk, legacy(node, config("nss", "aes128", "sha1")));
  VALUE(kOk, legacy(node, config("openssl", "aes256", "sha256")));  // although slot 1 is in use
  VALUE(fails(EBUSY), set(node, config("nss", "aes128", "sha1"), 1));
  VALUE(kNoSuite, legacy(node, config("nss", "nosuch", "sha1")));
  CALL(kOk, knet_handle_crypto_use_config(node, 1));  // still configured
  VALUE(kOk, legacy(node, config("none", "none", "none", 0)));
  CALL(fails(EINVAL), knet_handle_crypto_use_config(node, 1));
}

CONFORMANCE_CASE(crypto_resets_the_mtu) {
  Node node;
  need_models(node);
  NEED(set(node, config("nss", "aes256", "sha256"), 1).text == kOk.text);
  NEED(set(node, config("nss", "aes128", "sha1"), 2).text == kOk.text);
  VALUE(0, node.mtu.list().size());  // configuring alone resets nothing
  unsigned mtu = 0;
  const auto use = [&](uint8_t slot) {
    node.mtu.clear();
    CALL(kOk, knet_handle_crypto_use_config(node, slot));
    NEED(node.mtu.wait_for([](unsigned) { return true; }));
    CALL(kOk, knet_handle_pmtud_get(node, &mtu));
    VALUE(mtu, node.mtu.list().front());
    return mtu;
  };
  VALUE(421, use(1));
  VALUE(437, use(2));
  VALUE(482, use(0));
  VALUE(482, use(0));
}

CONFORMANCE_CASE(crypto_messages) {
  Pair pair;
  need_models(pair.one);
  struct Suite {
    const char* model;
    const char* cipher;
    const char* hash;
  };
  uint8_t slot = 1;
  for (const Suite& suite : {Suite{"nss", "aes256", "sha256"}, Suite{"openssl", "aes128", "sha512"},
                             Suite{"nss", "none", "sha1"}}) {
    for (Node* node : {&pair.one, &pair.two}) {
      VALUE(kOk, set(*node, config(suite.model, suite.cipher, suite.hash), slot));
    }
    for (Node* node : {&pair.one, &pair.two}) {
      CALL(kOk, knet_handle_crypto_use_config(*node, slot));
      CALL(kOk, knet_handle_crypto_rx_clear_traffic(*node, 1));
    }
    VALUE(true, pair.one.send(suite.hash));
    VALUE(std::string(suite.hash), pair.two.receive());
    slot = static_cast<uint8_t>(3 - slot);
  }
  knet_handle_stats stats{};
  CALL(kOk, knet_handle_get_stats(pair.two, &stats, sizeof(stats)));
  VALUE(3, stats.rx_crypt_packets);
  VALUE(true, stats.rx_crypt_time_min > 0 && stats.rx_crypt_time_min <= stats.rx_crypt_time_max);
  VALUE(true, eventually([&] {  // the pings count as well
          return knet_handle_get_stats(pair.one, &stats, sizeof(stats)) == 0 &&
                 stats.tx_crypt_packets > 3;
        }));
  VALUE(true, stats.tx_crypt_byte_overhead > 0);
}

namespace {

// The longest message, over the largest packets that there are.
void exchange_longest(Pair& pair, const knet_handle_crypto_cfg& cfg) {
  for (Node* node : {&pair.one, &pair.two}) {
    VALUE(kOk, set(*node, cfg));
  }
  for (Node* node : {&pair.one, &pair.two}) {
    CALL(kOk, knet_handle_crypto_use_config(*node, 1));
  }
  for (Node* node : {&pair.one, &pair.two}) {
    NEED(eventually([&] {
      unsigned mtu = 0;
      return knet_handle_pmtud_get(*node, &mtu) == 0 && mtu > 60000;
    }));
  }
  const std::string longest(KNET_MAX_PACKET_SIZE, 'c');
  VALUE(true, pair.one.send(longest));
  VALUE(true, pair.two.receive() == longest);
}

}  // namespace

CONFORMANCE_CASE(crypto_longest_message) {
  Pair pair;
  need_models(pair.one);
  exchange_longest(pair, config("nss", "aes256", "sha256"));
}

CONFORMANCE_CASE(crypto_longest_message_without_cipher) {
  NOT_ON_PEER("long messages that are authenticated only get lost or kill the process") {
    Pair pair;
    exchange_longest(pair, config("nss", "none", "sha1"));
  }
}

CONFORMANCE_CASE(crypto_refuses_clear_traffic) {
  Pair pair;
  need_models(pair.two);
  CALL(kOk, knet_handle_crypto_rx_clear_traffic(pair.two, 1));
  VALUE(true, pair.two.wait_reachable(1, false));
  CALL(kOk, knet_handle_crypto_rx_clear_traffic(pair.two, 0));
  VALUE(true, eventually([&] {
          knet_host_status status{};
          return knet_host_get_status(pair.two, 1, &status) == 0 && status.reachable == 1;
        }));
}

}  // namespace conformance

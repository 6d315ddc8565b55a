// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The classic envelope, byte for byte what libknet 1.x sends: encrypt, then MAC, with one key for
// all. It protects against outsiders who cannot record; replay protection it has none, and who sent
// a packet it does not say. native_sealer.h is the better one, where all nodes understand it.
//
//   | salt = IV (16) | ciphertext: packet and 1..16 bytes of pad | HMAC |     with a block cipher
//   | salt = IV (16) | ciphertext                                | HMAC |     with a stream cipher
//   | packet                                                     | HMAC |     hash only
//
// The HMAC is over all before it. Cipher key: the front of the private key; HMAC key: all of it.
#pragma once

#include <memory>
#include <string>

#include "engine/crypto/crypto_config.h"
#include "engine/crypto/random_source.h"
#include "engine/crypto/row_sealer.h"
#include "engine/crypto/sealer.h"
#include "engine/crypto/wolfssl/cipher.h"
#include "engine/crypto/wolfssl/mac.h"

namespace ringknet {

class ClassicSealer final : public Sealer {
 public:
  // Nothing when the library lacks an algorithm. `random` outlives the sealer.
  static std::unique_ptr<Sealer> make(const CryptoSuite& suite, ConstBytes private_key,
                                      RandomSource& random);

  // For make().
  ClassicSealer(const SealShape& shape, std::unique_ptr<Cipher> cipher, std::unique_ptr<Mac> mac,
                std::unique_ptr<RowSealer> rows, std::string name, RandomSource& random);

  std::string_view name() const override { return name_; }
  bool seal(MutableBytes buffer, std::size_t clear) override;
  bool seal_row(MutableBytes row, std::size_t clear, std::size_t last) override;
  bool seals_rows() const override { return rows_ != nullptr; }
  OpenResult open(MutableBytes buffer) override;

 private:
  bool prepare(MutableBytes envelope, std::size_t clear);
  OpenResult decrypt(MutableBytes envelope);

  std::unique_ptr<Cipher> cipher_;  // none: hash only
  std::unique_ptr<Mac> mac_;
  std::unique_ptr<RowSealer> rows_;  // none: one packet after the other
  std::string name_;
  RandomSource& random_;
};

}  // namespace ringknet

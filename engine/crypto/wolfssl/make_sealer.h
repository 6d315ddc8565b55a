// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Making a sealer from a configuration, tried out before it is handed over: a combination that does
// not work is refused here and not at the first packet. And what the crypto library is, for the
// log.
#pragma once

#include <memory>
#include <string_view>
#include <variant>

#include "engine/crypto/crypto_config.h"
#include "engine/crypto/keyring.h"
#include "engine/crypto/sealer.h"

namespace ringknet {

using MadeSealer = std::variant<std::unique_ptr<Sealer>, CryptoError>;

// For installing into `keyring`, which outlives it. The private key is not kept, keys derived from
// it are wiped with the sealer.
MadeSealer make_sealer(Keyring& keyring, const CryptoSuite& suite, ConstBytes private_key);

// The same after parse_crypto_config.
MadeSealer make_sealer(Keyring& keyring, std::string_view model, std::string_view cipher,
                       std::string_view hash, ConstBytes private_key);

struct CryptoLibrary {
  std::string_view version;  // of wolfSSL
  bool accelerated;          // built for the crypto instructions that this processor has
};
CryptoLibrary crypto_library();

}  // namespace ringknet

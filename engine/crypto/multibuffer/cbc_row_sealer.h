// SPDX-License-Identifier: LGPL-2.1-or-later
//
// AES-CBC with an HMAC for rows of packets, by the multi-buffer library.
#pragma once

#include <memory>

#include "engine/crypto/crypto_config.h"
#include "engine/crypto/row_sealer.h"

namespace ringknet::multibuffer {

// Nothing where the suite or the processor has no such thing.
std::unique_ptr<RowSealer> make_cbc_row_sealer(const CryptoSuite& suite, ConstBytes private_key);

}  // namespace ringknet::multibuffer

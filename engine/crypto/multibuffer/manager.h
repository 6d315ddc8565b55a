// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Intel's multi-buffer library, which works on several packets side by side and on several blocks
// at once. It is optional, and wolfSSL stays the reference: what is sealed here is opened there,
// for a trial whenever a key is set.
#pragma once

#include <intel-ipsec-mb.h>

#include <memory>

#include "engine/base/bytes.h"
#include "engine/crypto/wolfssl/hmac.h"

namespace ringknet::multibuffer {

struct FreeManager {
  void operator()(IMB_MGR* manager) const { free_mb_mgr(manager); }
};
using Manager = std::unique_ptr<IMB_MGR, FreeManager>;

// For one operation at a time, with 512-bit vectors. Null where the processor has none.
Manager wide_manager();
// For rows of packets: encrypts up to eight side by side and hashes with the processor's SHA
// instructions. With wider vectors sixteen packets are needed to be as fast. Null where the
// processor has no AVX2.
Manager row_manager();

}  // namespace ringknet::multibuffer

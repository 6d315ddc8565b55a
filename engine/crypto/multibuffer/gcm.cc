// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The one manager of all AES-GCM keys.
#include "engine/crypto/multibuffer/gcm.h"

namespace ringknet::multibuffer {

// Never freed: while exit() runs destructors, engine threads go on encrypting with it.
const IMB_MGR* gcm_manager() {
  static const IMB_MGR* const manager = wide_manager().release();
  return manager;
}

}  // namespace ringknet::multibuffer

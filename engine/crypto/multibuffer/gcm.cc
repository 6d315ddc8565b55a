// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The one manager of all AES-GCM keys.
#include "engine/crypto/multibuffer/gcm.h"

namespace ringknet::multibuffer {

const IMB_MGR* gcm_manager() {
  static const Manager manager = wide_manager();
  return manager.get();
}

}  // namespace ringknet::multibuffer

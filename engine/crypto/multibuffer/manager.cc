// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Managers of the multi-buffer library.
#include "engine/crypto/multibuffer/manager.h"

namespace ringknet::multibuffer {
namespace {

constexpr std::uint64_t kWide =
    IMB_FEATURE_AVX512_SKX | IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ | IMB_FEATURE_AESNI;
constexpr std::uint64_t kRows = IMB_FEATURE_AVX2 | IMB_FEATURE_AESNI;

Manager make(std::uint64_t features, void (*prepare)(IMB_MGR*)) {
  Manager manager(alloc_mb_mgr(0));
  if (manager == nullptr || (manager->features & features) != features)
    return nullptr;
  prepare(manager.get());
  return imb_get_errno(manager.get()) == 0 ? std::move(manager) : nullptr;
}

}  // namespace

Manager wide_manager() {
  return make(kWide, init_mb_mgr_avx512);
}

Manager row_manager() {
  return make(kRows, init_mb_mgr_avx2);
}

}  // namespace ringknet::multibuffer

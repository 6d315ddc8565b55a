// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Encryption of several packets of the classic envelope side by side. AES-CBC goes through one
// packet block by block, each waiting for the one before; the packets of a message do not wait for
// each other.
#pragma once

#include "engine/base/bytes.h"

namespace ringknet {

class RowSealer {
 public:
  virtual ~RowSealer() = default;
  // Takes | iv | padded text | to encrypt it in place and write its MAC to `mac`. The bytes stay
  // as they are, or become so, at some time until finish() has returned.
  virtual void add(MutableBytes envelope, std::byte* mac) = 0;
  // False: none of those that were added may be sent.
  [[nodiscard]] virtual bool finish() = 0;
};

}  // namespace ringknet

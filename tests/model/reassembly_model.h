// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A naive reassembler: it keeps every fragment of every message in maps and judges a new one by
// looking at all of them, straight from the protocol's rules. No slots to reuse, no offsets, no
// parking.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "engine/base/drop.h"
#include "engine/base/time.h"
#include "engine/wire/packet.h"

namespace ringknet::model {

struct ReassemblyAnswer {
  std::optional<Drop> drop;
  std::optional<std::vector<std::byte>> complete;
  MessageSeq evicted{};
};

class ReassemblyModel {
 public:
  // `partials_max` messages at once; `buffers` limits them further, as long as nobody is evicted.
  explicit ReassemblyModel(std::size_t partials_max = 32, std::size_t buffers = SIZE_MAX)
      : partials_max_(partials_max), buffers_(buffers) {}

  ReassemblyAnswer add(const DataPacket& packet) {
    ReassemblyAnswer answer;
    const DataHeader& header = packet.header;
    const auto known = messages_.find(header.seq.value);
    if (const Drop reason = judge(known == messages_.end() ? nullptr : &known->second, packet);
        reason != Drop::kCount) {
      answer.drop = reason;
      return answer;
    }
    if (known == messages_.end()) {
      if (messages_.size() == partials_max_) {
        answer.evicted = MessageSeq{longest_waiting()};
        messages_.erase(answer.evicted.value);
      } else if (messages_.size() == buffers_) {
        answer.drop = Drop::kNoBuffers;
        return answer;
      }
    }
    Message& message = messages_[header.seq.value];
    if (message.parts.empty())
      message.first = header;
    message.parts[header.fragment_index] = {packet.payload.begin(), packet.payload.end()};
    message.touched = ++clock_;
    if (message.parts.size() == header.fragment_count) {
      std::vector<std::byte> whole;
      for (const auto& [index, part] : message.parts)
        whole.insert(whole.end(), part.begin(), part.end());
      answer.complete = std::move(whole);
      messages_.erase(header.seq.value);
    }
    return answer;
  }

  bool empty() const { return messages_.empty(); }
  std::size_t size() const { return messages_.size(); }
  void clear() { messages_.clear(); }

 private:
  struct Message {
    DataHeader first;
    std::map<unsigned, std::vector<std::byte>> parts;
    std::uint64_t touched = 0;
  };

  static Drop judge(const Message* message, const DataPacket& packet) {
    const DataHeader& header = packet.header;
    std::map<unsigned, std::size_t> sizes;  // by index, with the new one in its place
    if (message != nullptr) {
      if (header.fragment_count != message->first.fragment_count ||
          header.channel != message->first.channel || header.compress != message->first.compress)
        return Drop::kFragmentChanged;
      if (message->parts.contains(header.fragment_index))
        return Drop::kFragmentRepeated;
      for (const auto& [index, part] : message->parts)
        sizes[index] = part.size();
    }
    sizes[header.fragment_index] = packet.payload.size();

    std::size_t slice = 0;
    std::size_t last = 0;
    for (const auto& [index, size] : sizes) {
      if (index == header.fragment_count) {
        last = size;
      } else if (slice == 0) {
        slice = size;
      } else if (size != slice) {
        return Drop::kSliceSize;
      }
    }
    if (slice != 0 && last > slice)
      return Drop::kSliceSize;
    // What is still missing is at least this long: a slice as long as the last one, the last one
    // not empty.
    const std::size_t slice_min = slice != 0 ? slice : last;
    const std::size_t last_min = last != 0 ? last : 1;
    if (slice_min * (header.fragment_count - 1u) + last_min > kMessageSizeMax)
      return Drop::kFragmentOffset;
    return Drop::kCount;
  }

  std::uint16_t longest_waiting() const {
    std::uint16_t chosen = 0;
    std::uint64_t least = UINT64_MAX;
    for (const auto& [seq, message] : messages_) {
      if (message.touched < least) {
        least = message.touched;
        chosen = seq;
      }
    }
    return chosen;
  }

  std::size_t partials_max_;
  std::size_t buffers_;
  std::map<std::uint16_t, Message> messages_;
  std::uint64_t clock_ = 0;
};

}  // namespace ringknet::model

// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Reassembly against a naive model: a map of maps, which keeps every fragment as it came and joins
// them at the end. Both must say the same about every fragment, and give the same messages.
#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "engine/core/reassembly.h"
#include "fuzz/input.h"
#include "fuzz/operations.h"

namespace ringknet::fuzz {
namespace {

using Content = std::vector<std::byte>;

// Small enough to run out before the slots do, in every fourth input.
constexpr std::size_t kFewBuffers = 5;
// What is further behind than this is given up.
constexpr unsigned kQuarter = 16384;
constexpr MessagePosition kFurthest = 1u << 20;

struct Partial {
  DataHeader header;
  Instant updated{};
  std::map<unsigned, Content> fragments;

  std::size_t last() const {
    const auto found = fragments.find(header.fragment_count);
    return found == fragments.end() ? 0 : found->second.size();
  }
  std::size_t slice() const {
    for (const auto& [index, content] : fragments) {
      if (index != header.fragment_count)
        return content.size();
    }
    return 0;
  }
};

class Model {
 public:
  struct Verdict {
    Drop drop = Drop::kCount;  // kCount: taken
    MessageSeq evicted{};
    std::optional<Content> complete;
  };

  Verdict add(Instant now, const DataPacket& packet, std::size_t buffers_free) {
    const DataHeader& header = packet.header;
    Verdict verdict;
    auto found = partials_.find(header.seq.value);
    Partial blank{header, now, {}};
    verdict.drop = judge(found == partials_.end() ? blank : found->second, packet);
    if (verdict.drop != Drop::kCount)
      return verdict;
    if (found == partials_.end()) {
      if (partials_.size() == Reassembly::kSlots) {
        verdict.evicted = evict();
      } else if (buffers_free == 0) {
        verdict.drop = Drop::kNoBuffers;
        return verdict;
      }
      found = partials_.emplace(header.seq.value, blank).first;
    }
    Partial& partial = found->second;
    partial.updated = now;
    partial.fragments[header.fragment_index].assign(packet.payload.begin(), packet.payload.end());
    if (partial.fragments.size() == header.fragment_count) {
      verdict.complete.emplace();
      for (const auto& [index, content] : partial.fragments)
        verdict.complete->insert(verdict.complete->end(), content.begin(), content.end());
      partials_.erase(found);
    }
    return verdict;
  }

  std::vector<unsigned> expire(Instant limit) {
    std::vector<unsigned> gone;
    for (const auto& [seq, partial] : partials_) {
      if (partial.updated < limit)
        gone.push_back(seq);
    }
    for (const unsigned seq : gone)
      partials_.erase(seq);
    return gone;
  }
  std::size_t expire_behind(unsigned oldest) {
    return std::erase_if(partials_, [&](const auto& entry) { return entry.first < oldest; });
  }
  unsigned newest() const { return partials_.empty() ? 1 : partials_.rbegin()->first; }
  std::size_t clear() {
    const std::size_t count = partials_.size();
    partials_.clear();
    return count;
  }
  const Partial* find(unsigned seq) const {
    const auto found = partials_.find(seq);
    return found == partials_.end() ? nullptr : &found->second;
  }
  std::size_t size() const { return partials_.size(); }

 private:
  static Drop judge(const Partial& partial, const DataPacket& packet) {
    const DataHeader& first = partial.header;
    const DataHeader& header = packet.header;
    const std::size_t size = packet.payload.size();
    if (header.fragment_count != first.fragment_count || header.channel != first.channel ||
        header.compress != first.compress) {
      return Drop::kFragmentChanged;
    }
    if (partial.fragments.contains(header.fragment_index))
      return Drop::kFragmentRepeated;
    const bool is_last = header.fragment_index == header.fragment_count;
    const std::size_t slice = is_last ? partial.slice() : size;
    const std::size_t last = is_last ? size : partial.last();
    if (!is_last && partial.slice() != 0 && partial.slice() != size)
      return Drop::kSliceSize;
    if (slice != 0 && last > slice)
      return Drop::kSliceSize;
    // A last fragment alone tells the least size of the slices before it.
    const std::size_t least = slice != 0 ? slice : last;
    // A last fragment that is still missing has one byte at least.
    if ((header.fragment_count - 1u) * least + std::max<std::size_t>(last, 1) > kMessageSizeMax)
      return Drop::kFragmentOffset;
    return Drop::kCount;
  }
  MessageSeq evict() {
    const auto oldest = std::ranges::min_element(
        partials_, {}, [](const auto& entry) { return entry.second.updated; });
    const MessageSeq seq{static_cast<std::uint16_t>(oldest->first)};
    partials_.erase(oldest);
    return seq;
  }

  std::map<unsigned, Partial> partials_;
};

class Harness {
 public:
  Harness(const std::uint8_t* data, std::size_t size)
      : input_(data, size),
        buffers_(input_.u8() % 4 == 0 ? kFewBuffers : 2 * Reassembly::kSlots),
        pool_(buffers_),
        reassembly_(pool_) {}

  void run() {
    while (!input_.empty()) {
      now_ += std::chrono::milliseconds(1);
      step();
      require(reassembly_.empty() == (model_.size() == 0), "both are empty or neither is");
      require(pool_.in_use() == model_.size() + held_.size(), "no buffer is lost or used twice");
    }
    for (const MessageBufferId buffer : held_)
      pool_.give_back(buffer);
    held_.clear();
    reassembly_.clear();
    require(pool_.in_use() == 0, "in the end every buffer is back");
  }

 private:
  void step() {
    switch (next_op<ReassemblyOp>(input_)) {
      case ReassemblyOp::kFragment:
        return fragment();
      case ReassemblyOp::kFitting:
        return fitting();
      case ReassemblyOp::kRelease:
        if (!held_.empty()) {
          pool_.give_back(held_.front());
          held_.pop_front();
        }
        return;
      case ReassemblyOp::kExpire: {
        const Instant limit = now_ - std::chrono::milliseconds(input_.u8());
        std::vector<unsigned> gone;
        reassembly_.expire(limit, [&](MessagePosition position) {
          gone.push_back(static_cast<unsigned>(position));
        });
        std::ranges::sort(gone);
        require(gone == model_.expire(limit), "the same messages expire");
        return;
      }
      case ReassemblyOp::kClear:
        require(reassembly_.clear() == model_.clear(), "as many messages are given up");
        return;
      case ReassemblyOp::kExpireBehind: {
        const unsigned newest = model_.newest() + input_.u16() % 60000;
        const unsigned oldest = newest < kQuarter ? 0 : newest - kQuarter;
        require(reassembly_.keep(oldest, kFurthest) == model_.expire_behind(oldest),
                "as many messages are behind");
        return;
      }
      case ReassemblyOp::kCount:
        return;
    }
  }

  void fragment() {
    DataHeader header;
    header.seq = MessageSeq{static_cast<std::uint16_t>(1 + input_.u8() % 64)};
    header.fragment_count = static_cast<std::uint8_t>(2 + input_.u8() % (kFragmentsMax - 1));
    header.fragment_index = static_cast<std::uint8_t>(1 + input_.u8() % header.fragment_count);
    header.channel = Channel(input_.u8() % 2);
    add(header, input_.u16());
  }
  void fitting() {
    const unsigned seq = 1 + input_.u8() % 64;
    const unsigned index = input_.u8();
    const Partial* partial = model_.find(seq);
    if (partial == nullptr)
      return;
    DataHeader header = partial->header;
    header.fragment_index = static_cast<std::uint8_t>(1 + index % header.fragment_count);
    const std::size_t slice = partial->slice() != 0 ? partial->slice() : partial->last();
    add(header, slice - 1);
  }
  void add(const DataHeader& header, std::size_t size_below) {
    Content content(1 + size_below);
    std::uint8_t value = static_cast<std::uint8_t>(++fragments_ * 37);
    for (std::byte& byte : content)
      byte = std::byte{value++};
    const DataPacket packet{header, content};
    const Model::Verdict expected = model_.add(now_, packet, buffers_ - pool_.in_use());
    const Reassembly::Outcome outcome = reassembly_.add(now_, packet, header.seq.value, kFurthest);
    if (const auto* reason = std::get_if<Drop>(&outcome)) {
      require(*reason == expected.drop, "refused for the same reason");
    } else if (const auto* pending = std::get_if<Reassembly::Pending>(&outcome)) {
      require(expected.drop == Drop::kCount && !expected.complete, "taken, not complete");
      require(pending->evicted == expected.evicted.value, "the same message makes room");
    } else {
      const auto& complete = std::get<Reassembly::Complete>(outcome);
      require(expected.complete.has_value(), "complete");
      require(
          std::ranges::equal(pool_.bytes(complete.buffer).first(complete.size), *expected.complete),
          "the same content");
      held_.push_back(complete.buffer);
    }
  }

  Input input_;
  std::size_t buffers_;
  MessagePool pool_;
  Reassembly reassembly_;
  Model model_;
  std::deque<MessageBufferId> held_;
  Instant now_{std::chrono::seconds(1)};
  unsigned fragments_ = 0;
};

}  // namespace
}  // namespace ringknet::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ringknet::fuzz::Harness(data, size).run();
  return 0;
}

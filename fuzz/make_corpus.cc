// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Writes the seed corpora, with our own encoder, into the folder it is given: one folder per
// harness, a few inputs each that reach deep at once. What fuzzing finds later is added to those
// folders by hand; this program never deletes.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "engine/compress/codecs/codecs.h"
#include "engine/wire/packet.h"
#include "fuzz/input.h"
#include "fuzz/operations.h"

namespace ringknet::fuzz {
namespace {

class Corpus {
 public:
  Corpus(const std::filesystem::path& root, const char* harness) : folder_(root / harness) {
    std::filesystem::create_directories(folder_);
  }
  void add(const char* name, const Output& content) {
    std::ofstream file(folder_ / name, std::ios::binary);
    for (const std::uint8_t byte : content.all())
      file.put(static_cast<char>(byte));
    good_ &= static_cast<bool>(file.flush());
  }
  bool good() const { return good_; }

 private:
  std::filesystem::path folder_;
  bool good_ = true;
};

Output packet_of(const ConstBytes bytes) {
  Output out;
  return out.bytes(bytes);
}

bool write_packets(const std::filesystem::path& root) {
  Corpus corpus(root, "packet_fuzz");
  std::vector<std::byte> bytes(kDataHeaderSize + 20, std::byte{0x5a});
  encode(DataHeader{.source = HostId{2}, .seq = MessageSeq{7}, .channel = Channel{3}}, bytes);
  corpus.add("data-whole", packet_of(bytes));
  DataHeader fragment{.source = HostId{300}, .seq = MessageSeq{65535}, .broadcast = true};
  fragment.fragment_count = 254;
  fragment.fragment_index = 254;
  encode(fragment, bytes);
  corpus.add("data-fragment", packet_of(bytes));
  fragment.compress = 3;
  encode(fragment, bytes);
  corpus.add("data-compressed", packet_of(bytes));
  bytes.resize(kPingSize);
  PingPacket ping{.sender = HostId{1}, .link = LinkId{7}, .seq = MessageSeq{42}};
  ping.stamp = stamp_of(Instant{std::chrono::seconds(12345)});
  encode(ping, bytes);
  corpus.add("ping", packet_of(bytes));
  ping.type = PacketType::kPong;
  ping.timed = false;
  encode(ping, bytes);
  corpus.add("pong-forced", packet_of(bytes));
  bytes.resize(1472);
  MtuPacket probe{.sender = HostId{1}, .size = probe_size_field(1500)};
  encode(probe, bytes.size(), bytes);
  corpus.add("probe", packet_of(bytes));
  probe.type = PacketType::kMtuReply;
  bytes.resize(kMtuHeaderSize);
  encode(probe, bytes.size(), bytes);
  corpus.add("probe-reply", packet_of(bytes));
  corpus.add("empty-data", packet_of(ConstBytes(bytes).first(6)));
  return corpus.good();
}

bool write_reassembly(const std::filesystem::path& root) {
  using Op = ReassemblyOp;
  Corpus corpus(root, "reassembly_fuzz");
  const auto fragment = [](Output& out, unsigned seq, unsigned count, unsigned index,
                           unsigned size) {
    op(out, Op::kFragment).u8(seq).u8(count - 2).u8(index - 1).u8(0).u16(size - 1);
  };
  Output in_order;
  in_order.u8(1);
  for (unsigned index = 1; index <= 3; ++index)
    fragment(in_order, 1, 3, index, index < 3 ? 1000 : 10);
  op(in_order, Op::kRelease);
  corpus.add("in-order", in_order);
  Output last_first;
  last_first.u8(1);
  for (unsigned index = 4; index >= 1; --index)
    fragment(last_first, 2, 4, index, index < 4 ? 500 : 499);
  corpus.add("last-first", last_first);
  Output largest;
  largest.u8(1);
  for (unsigned index = 1; index <= 254; ++index)
    fragment(largest, 3, 254, index, index < 254 ? 259 : 9);
  corpus.add("largest", largest);
  for (const unsigned buffers : {0u, 1u}) {
    Output crowd;
    crowd.u8(buffers);
    for (unsigned seq = 0; seq < 40; ++seq)
      fragment(crowd, seq, 2, 1 + seq % 2, 100);
    for (unsigned seq = 0; seq < 40; ++seq)
      op(crowd, Op::kFitting).u8(seq).u8(1 - seq % 2);
    op(crowd, Op::kExpireBehind).u16(40);
    op(crowd, Op::kExpireBehind).u16(32740);
    op(crowd, Op::kExpire).u8(20);
    op(crowd, Op::kClear);
    corpus.add(buffers == 0 ? "no-buffers" : "evicted", crowd);
  }
  Output changed;
  changed.u8(1);
  fragment(changed, 5, 5, 1, 1000);
  fragment(changed, 5, 6, 2, 1000);
  fragment(changed, 5, 5, 2, 999);
  fragment(changed, 5, 5, 1, 1000);
  fragment(changed, 5, 5, 5, 1001);
  corpus.add("changed", changed);
  return corpus.good();
}

bool write_window(const std::filesystem::path& root) {
  using Op = WindowOp;
  Corpus corpus(root, "window_fuzz");
  Output stream;
  for (unsigned i = 0; i < 40; ++i)
    op(stream, Op::kData).u16(16 + i % 3);
  for (unsigned i = 0; i < 5; ++i)
    op(stream, Op::kPing).u16(16).u8(9);
  corpus.add("stream", stream);
  Output restart;
  op(restart, Op::kPing).u16(17).u8(8);
  op(restart, Op::kData).u16(17);
  op(restart, Op::kPing).u16(16).u8(9);
  op(restart, Op::kAdvance).u8(100);
  op(restart, Op::kPing).u16(16).u8(8);
  op(restart, Op::kData).u16(17);
  corpus.add("restart", restart);
  Output held_up;  // a PING that waited while the receiver did not run
  op(held_up, Op::kPing).u16(17).u8(1);
  op(held_up, Op::kData).u16(18);
  op(held_up, Op::kAdvance).u8(250);
  op(held_up, Op::kPing).u16(15).u8(249);
  op(held_up, Op::kData).u16(16);
  corpus.add("held-up", held_up);
  Output jumps;
  for (unsigned i = 0; i < 30; ++i)
    op(jumps, Op::kData).u16(49152 + 577 * i);
  op(jumps, Op::kReboot);
  op(jumps, Op::kForced).u16(50000).u8(1);
  op(jumps, Op::kReset);
  corpus.add("jumps", jumps);
  return corpus.good();
}

bool write_links(const std::filesystem::path& root) {
  using Op = LinkOp;
  Corpus corpus(root, "mtu_link_fuzz");
  const auto bring_up = [](Output& out) {
    op(out, Op::kEnable).u8(1);
    for (unsigned i = 0; i < 7; ++i) {
      op(out, Op::kTime).u8(0);
      op(out, Op::kPong).u8(1);
    }
  };
  const auto search = [](Output& out) {
    for (unsigned i = 0; i < 60; ++i) {
      op(out, Op::kTime).u8(0);
      op(out, Op::kReply);
    }
  };
  for (const unsigned kind : {0u, 1u, 2u, 6u}) {
    Output out;
    out.u8(kind);
    op(out, Op::kPath).u16(1400);
    bring_up(out);
    search(out);
    op(out, Op::kPath).u16(1000);  // a black hole
    op(out, Op::kData).u16(1400);
    search(out);
    corpus.add(("black-hole-" + std::to_string(kind)).c_str(), out);
  }
  Output limited;
  limited.u8(0);
  op(limited, Op::kPath).u16(1500);
  bring_up(limited);
  op(limited, Op::kRefused);
  op(limited, Op::kReply);
  op(limited, Op::kLimit).u16(0).u16(1500);
  search(limited);
  corpus.add("kernel-limit", limited);
  Output trouble;
  trouble.u8(0);
  bring_up(trouble);
  for (unsigned i = 0; i < 4; ++i) {
    op(trouble, Op::kTrouble).u8(1);
    op(trouble, Op::kTime).u8(0);
  }
  op(trouble, Op::kTime).u8(250);
  op(trouble, Op::kTime).u8(250);
  corpus.add("trouble", trouble);
  return corpus.good();
}

bool write_fabric(const std::filesystem::path& root) {
  using Op = FabricOp;
  Corpus corpus(root, "fabric_fuzz");
  constexpr unsigned kPeer = 1;  // host 2
  const auto bring_up = [](Output& out, unsigned link) {
    for (unsigned i = 0; i < 7; ++i) {
      op(out, Op::kTime).u8(0);
      op(out, Op::kPoll).u8(40);
      op(out, Op::kPong).u8(kPeer).u8(link);
    }
  };
  const auto data = [](Output& out, unsigned seq, unsigned count, unsigned index, unsigned size) {
    op(out, Op::kData).u8(kPeer).u16(seq).u8(count).u8(index).u8(3).u16(size);
  };
  Output receive;
  receive.u8(0);
  bring_up(receive, 0);
  data(receive, 3, 1, 0, 100);
  data(receive, 3, 1, 0, 100);
  data(receive, 6, 2, 1, 1000);
  data(receive, 6, 2, 2, 10);
  op(receive, Op::kRelease);
  data(receive, 9, 3, 3, 10);  // stays in pieces to the end
  corpus.add("receive", receive);
  Output send;
  send.u8(0);
  bring_up(send, 0);
  bring_up(send, 1);
  for (const unsigned size : {1u, 500u, 9000u, 65535u}) {
    op(send, Op::kSend).u8(0).u8(3).u16(size);
    op(send, Op::kSend).u8(9).u8(3).u16(size);
    op(send, Op::kPoll).u8(16);
    op(send, Op::kDone).u8(0).u8(1).u16(1400);
    op(send, Op::kDone).u8(1).u8(3).u16(0);
  }
  corpus.add("send", send);
  Output repeated;  // one host named again and again
  repeated.u8(0);
  for (unsigned link = 0; link < 3; ++link)
    bring_up(repeated, link);
  op(repeated, Op::kSettings).u8(kPeer).u8(0).u8(0).u8(1);  // ACTIVE
  for (unsigned i = 0; i < 12; ++i)
    op(repeated, Op::kSend).u8(253).u8(0).u16(60000);
  corpus.add("repeated-host", repeated);
  Output learn;
  learn.u8(7);
  op(learn, Op::kAccess).u8(kPeer).u8(0).u8(1).u8(kPeer);
  op(learn, Op::kAccess).u8(kPeer).u8(0).u8(0).u8(1);
  op(learn, Op::kPing).u8(kPeer).u8(0).u16(0).u8(1);
  bring_up(learn, 0);
  op(learn, Op::kPing).u8(kPeer).u8(0).u16(5).u8(1);
  op(learn, Op::kPing).u8(kPeer).u8(0).u16(0).u8(1);
  op(learn, Op::kTime).u8(255);
  op(learn, Op::kTime).u8(255);
  corpus.add("learn", learn);
  Output change;
  change.u8(0);
  bring_up(change, 0);
  op(change, Op::kSend).u8(0).u8(0).u16(5000);
  op(change, Op::kLink).u8(kPeer).u8(0).u8(4);
  op(change, Op::kLink).u8(kPeer).u8(0).u8(2);
  op(change, Op::kPoll).u8(40);
  op(change, Op::kLink).u8(kPeer).u8(0).u8(0);
  op(change, Op::kLink).u8(kPeer).u8(0).u8(3);
  bring_up(change, 0);
  op(change, Op::kHost).u8(0).u8(0);
  op(change, Op::kLink).u8(0).u8(0).u8(0);
  op(change, Op::kSend).u8(0).u8(0).u16(5000);
  op(change, Op::kSettings).u8(kPeer).u8(0).u8(4).u8(3);
  op(change, Op::kPathError).u8(kPeer).u8(2).u16(0);
  corpus.add("change", change);
  return corpus.good();
}

// A block that every model of this build packed, for large and for small room.
bool write_decompress(const std::filesystem::path& root) {
  Corpus corpus(root, "decompress_fuzz");
  std::vector<std::byte> text(900);
  for (std::size_t i = 0; i < text.size(); ++i)
    text[i] = static_cast<std::byte>('a' + i * i % 11);
  std::vector<std::byte> packed(compress_bound(text.size()));
  const auto models = codec_models();
  for (std::size_t index = 0; index < models.size(); ++index) {
    const auto compressor = models[index].compressor(models[index].default_level);
    const std::size_t size = compressor->compress(text, packed);
    for (const std::size_t large : {0, 1}) {
      // The harness takes the first byte modulo the number of models; 128 and more is large room.
      std::size_t first = index;
      while (large == 1 && first < 128)
        first += models.size();
      Output input;
      input.u8(static_cast<unsigned>(first)).bytes(ConstBytes(packed).first(size));
      corpus.add((std::string(models[index].name) + (large == 1 ? "_large" : "_small")).c_str(),
                 input);
    }
  }
  return corpus.good();
}

// An entry or an address as access_list_fuzz reads it: 10.0.x.y, or fd00::x:y.
Output& address(Output& out, bool six, unsigned x, unsigned y) {
  return out.u8(six ? 1 : 0).u8(six ? 0xfd : 10).u8(x).u8(y);
}

bool write_access_lists(const std::filesystem::path& root) {
  using Op = AccessOp;
  Corpus corpus(root, "access_list_fuzz");
  for (const bool six : {false, true}) {
    Output out;
    address(op(out, Op::kInsert).u8(0xff).u8(0), six, 1, 2);  // accept one address
    address(address(op(out, Op::kInsert).u8(0).u8(3 + 2), six, 1, 0), six, 1, 9);  // reject a range
    address(op(out, Op::kInsert).u8(1).u8(1), six, 0, 0).u8(six ? 3 : 2).u8(0xff).u8(0).u8(0);
    for (const unsigned last : {0, 2, 9, 10})
      address(op(out, Op::kAsk), six, 1, last);
    op(out, Op::kRemoveKnown).u8(0);
    address(op(out, Op::kAsk), !six, 1, 2);
    address(op(out, Op::kRemove).u8(0), six, 1, 2);
    address(op(out, Op::kAsk), six, 1, 2);
    op(out, Op::kClear);
    corpus.add(six ? "six" : "four", out);
  }
  return corpus.good();
}

// Any bytes are calls: these are a beginning.
bool write_calls(const std::filesystem::path& root) {
  Corpus corpus(root, "api_fuzz");
  for (const unsigned start : {0, 1}) {
    Output out;
    out.u8(start);
    for (unsigned i = 0; i < 600; ++i)
      out.u8(i * i * 7 + i % 13);
    corpus.add(start == 0 ? "from-nothing" : "from-links", out);
  }
  return corpus.good();
}

}  // namespace
}  // namespace ringknet::fuzz

int main(int argc, char** argv) {
  using namespace ringknet::fuzz;
  if (argc != 2) {
    std::fputs("usage: make_corpus FOLDER\n", stderr);
    return 2;
  }
  const std::filesystem::path root(argv[1]);
  const bool written = write_packets(root) && write_reassembly(root) && write_window(root) &&
                       write_links(root) && write_fabric(root) && write_decompress(root) &&
                       write_access_lists(root) && write_calls(root);
  if (!written)
    std::fputs("could not write the corpora\n", stderr);
  return written ? 0 : 1;
}

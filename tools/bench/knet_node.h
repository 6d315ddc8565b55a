// SPDX-License-Identifier: LGPL-2.1-or-later
//
// One knet node with its peers, by the public API and nothing else: it creates and configures the
// handle, tells when all links are up and their MTU is found, and takes everything down again. It
// measures how long these steps take. Moving messages is the work of carriers and of traffic.cc.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/knet.hpp"
#include "tools/bench/common.h"
#include "tools/bench/control.h"

namespace ringknet::bench {

struct LinkAddresses {
  std::string local;
  std::string remote;
};

struct NodeSettings {
  knet_node_id_t id = 0;
  knet_node_id_t peer_id = 0;  // of the first
  unsigned peers = 1;          // one id, and one port, after the other
  std::uint16_t port = 0;
  std::uint16_t peer_port = 0;    // of the first
  bool driven = false;            // by the application's thread, and without data descriptors
  unsigned data_descriptors = 1;  // channels from 0 on
  std::vector<LinkAddresses> links;
  std::uint8_t policy = 0;
  std::chrono::milliseconds ping_interval{};
  std::chrono::milliseconds ping_timeout{};
  std::uint8_t pong_count = 0;
  Duration busy_poll{};        // 0: off, as on a library that has none
  unsigned interface_mtu = 0;  // 0: let the library find out
  std::string crypto;          // MODEL,CIPHER,HASH; empty for none
  std::string compress;        // MODEL; empty for none

  [[nodiscard]] Message to_message() const;
  static NodeSettings from_message(const Message& message);
};

// How long links took. Counted from the moment the last one was enabled.
struct LinkTimes {
  Duration connected;  // all links, and the host reachable
  Duration mtu_found;  // every link's MTU has been searched
  unsigned data_mtu;
};

// Times of creating and freeing a handle that nothing was done with.
struct HandleTimes {
  Duration create;
  Duration free;
};
HandleTimes time_empty_handle(knet_node_id_t id);

class KnetNode {
 public:
  explicit KnetNode(const NodeSettings& settings);
  KnetNode(const KnetNode&) = delete;
  KnetNode& operator=(const KnetNode&) = delete;
  ~KnetNode();

  void enable_links();
  // Looks once; nothing while links are down or an MTU is still being searched.
  std::optional<LinkTimes> links_ready();
  // Readable when a callback has been called since clear_events().
  [[nodiscard]] int event_descriptor() const { return events_.get(); }
  void clear_events();

  [[nodiscard]] int data_descriptor(std::size_t channel) const {
    return data_descriptors_.at(channel);
  }
  [[nodiscard]] std::size_t data_descriptors() const { return data_descriptors_.size(); }
  [[nodiscard]] const knet::Handle& handle() const { return *handle_; }
  [[nodiscard]] bool driven() const { return settings_.driven; }
  // Lets a driven node do what there is to do, waiting for it for so long at most.
  void drive(Duration limit);
  [[nodiscard]] bool privileged() const { return privileged_; }
  // Messages that the library dropped because the application's descriptor was full.
  [[nodiscard]] std::uint64_t refused() const { return refused_; }
  // How often links have gone up since configured, summed up: a change means that one was down in
  // between.
  std::uint64_t link_up_count();
  // What encryption and compression did since forget_stats().
  void forget_stats();
  knet_handle_stats stats();
  // Says which link is down; for the sentence about a node that does not come up.
  std::string describe_links();

  // Takes everything down. Does nothing the second time.
  void close();

 private:
  void create();
  void configure_handle();
  void add_peer(knet_node_id_t peer);
  void configure_link(knet_node_id_t peer, std::uint8_t link);
  // Calls function(host, link) for every link.
  template <typename Function>
  void for_each_link(const Function& function) {
    for (unsigned peer = 0; peer < settings_.peers; ++peer) {
      for (std::uint8_t link = 0; link < settings_.links.size(); ++link) {
        function(static_cast<knet_node_id_t>(settings_.peer_id + peer), link);
      }
    }
  }
  knet_link_status link_status(knet_node_id_t peer, std::uint8_t link);
  [[nodiscard]] Failure failed(const std::string& call);
  void check(int result, const std::string& call);
  void set_crypto();
  void set_compression();

  static void on_data_descriptor(void* self, int descriptor, std::int8_t channel,
                                 std::uint8_t direction, int error, int error_number);
  static void on_host_status(void* self, knet_node_id_t host, std::uint8_t reachable,
                             std::uint8_t remote, std::uint8_t external);
  static void on_mtu(void* self, unsigned data_mtu);
  void signal_event() const;

  NodeSettings settings_;
  Descriptor events_;
  Descriptor log_reader_;
  Descriptor log_writer_;
  std::optional<knet::Handle> handle_;
  bool privileged_ = true;
  std::vector<int> data_descriptors_;
  Instant enabled_;
  std::optional<Duration> connected_after_;
  std::atomic<std::uint64_t> refused_ = 0;
};

}  // namespace ringknet::bench

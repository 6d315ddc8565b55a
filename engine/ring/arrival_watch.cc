// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The periods, and which interface has an address.
#include "engine/ring/arrival_watch.h"

#include <ifaddrs.h>
#include <net/if.h>

#include <string_view>

#include "engine/ring/sockaddr.h"

namespace ringknet {
namespace {

constexpr Duration kAsking = std::chrono::seconds(2);
constexpr Duration kPause = std::chrono::seconds(60);
// The list of all addresses takes a while where there are thousands.
constexpr int kLookupsMax = 4;

// Interfaces that nothing arrives on from outside: addresses on them are reached by others.
bool hears(unsigned flags) {
  return (flags & (IFF_LOOPBACK | IFF_NOARP)) == 0;
}

// As the kernel names it: an address may have a label behind the name.
std::string_view interface_of(const ifaddrs& entry) {
  const std::string_view name = entry.ifa_name;
  return name.substr(0, name.find(':'));
}

// The interface that has the address, unless `arrival` has it, too, or is the machine's own; else
// 0.
unsigned find_owner(const Address& address, unsigned arrival) {
  char arrived_by[IF_NAMESIZE];
  SocketAddress wanted;
  const socklen_t size = to_sockaddr(address, wanted);
  ifaddrs* list = nullptr;
  if (if_indextoname(arrival, arrived_by) == nullptr || getifaddrs(&list) != 0)
    return 0;
  bool fits = false;
  const char* owner = nullptr;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    const bool by_this = interface_of(*entry) == arrived_by;
    const bool has_it = entry->ifa_addr != nullptr &&
                        entry->ifa_addr->sa_family == wanted.generic.sa_family &&
                        to_address(entry->ifa_addr, size).same_ip(address);
    fits = fits || (by_this && (has_it || !hears(entry->ifa_flags)));
    if (has_it && hears(entry->ifa_flags))
      owner = entry->ifa_name;
  }
  const unsigned index = fits || owner == nullptr ? 0 : if_nametoindex(owner);
  freeifaddrs(list);
  return index;
}

}  // namespace

void ArrivalWatch::start(Instant now) {
  asking_ = true;
  next_ = now + kAsking;
  lookups_left_ = kLookupsMax;
  sockets_.for_each([](UdpSocket& socket) { socket.tell_arrivals(true); });
}

void ArrivalWatch::change(Instant now) {
  if (!asking_) {
    start(now);
    return;
  }
  asking_ = false;
  next_ = now + kPause;
  sockets_.for_each([](UdpSocket& socket) { socket.tell_arrivals(false); });
}

unsigned ArrivalWatch::owner_instead_of(UdpSocket& socket, unsigned interface) {
  if (interface != socket.arrival.interface) {
    if (lookups_left_ == 0)
      return 0;
    --lookups_left_;
    socket.arrival.interface = interface;
    socket.arrival.owner = find_owner(socket.local(), interface);
  }
  return socket.arrival.owner;
}

}  // namespace ringknet

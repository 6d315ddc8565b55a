// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Network namespaces and what is in them: finding out what this process may do, and, from inside a
// namespace, making veth pairs, giving addresses and cutting a link silently. It speaks rtnetlink
// itself, so it needs no program, and it never touches the namespace that the user works in: only
// worker processes call the functions that change anything.
#pragma once

#include <sys/types.h>

#include <string>

namespace ringknet::bench {

enum class NamespaceAccess {
  kDirect,       // as root: a new network namespace is there for the asking
  kUserFirst,    // with a user namespace around it
  kUnavailable,  // neither; the reason tells why
};

struct NamespaceProbe {
  NamespaceAccess access;
  std::string reason;
};

// Tries it out in a child process that goes away again.
NamespaceProbe probe_namespaces();

// Moves this process into a new user namespace in which it may do what network namespaces need.
void enter_user_namespace();

// Moves this process into a new, empty network namespace.
void enter_network_namespace();

// Makes a pair of connected devices, both with this name: one here, one in the namespace of the
// other process.
void create_veth(const std::string& name, unsigned mtu, pid_t other);

void set_device_up(const std::string& name);
void add_address(const std::string& name, const std::string& address, unsigned prefix_length);

// Whether packets to a neighbour arrive. A cut link goes on looking healthy to both ends: its
// packets leave the device for an Ethernet address that nobody has, so they vanish without an
// error, as in a broken switch.
void set_neighbour_reachable(const std::string& name, const std::string& address, bool reachable);

}  // namespace ringknet::bench

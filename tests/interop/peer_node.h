// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the two halves of peer_node share: peer_node.c (the loop, the callbacks, the events) and
// peer_commands.c (the line commands). Not a header for anybody else.
#pragma once

#include <libknet.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "message_log.h"

enum { kWatchedLinksMax = 32, kReplySizeMax = 1024, kWordsMax = 16 };

struct watched_link {
  uint16_t host;
  uint8_t link;
  int connected;  // -1 until the first look
  unsigned int mtu;
  uint64_t pings;          // PINGs received so far
  uint64_t awaited_pings;  // somebody waits for this many; 0 = nobody does
};

// Messages `next` .. `end` - 1 of a stream are still to be sent.
struct send_job {
  bool active;
  int channel;
  struct message message;
  uint32_t next;
  uint32_t end;
  // Paced jobs only: messages per second, when the pace began and with which index.
  uint32_t rate;
  uint32_t paced_from;
  double paced_since;
};

struct node {
  knet_handle_t handle;
  uint16_t id;
  int log_pipe[2];
  int datafds[KNET_DATAFD_MAX];  // 0 = closed
  struct watched_link links[kWatchedLinksMax];
  size_t link_count;
  struct send_job batch;   // what `send` does; no command is read until it is done
  struct send_job stream;  // what `stream` does, until `stop`
  struct message_log log;
  char reply[kReplySizeMax];
};

// Writes one whole line to standard output in one call, as library threads write lines too.
void say(const char* format, ...) __attribute__((format(printf, 1, 2)));

double clock_seconds(void);

// Installs the destination filter: "off", "broadcast", or "addressed" (each message goes where its
// header says). 0 or -1 with errno.
int install_filter(struct node* node, const char* mode);

// Installs the callbacks of a new handle, which report what they are told as event lines.
int install_callbacks(struct node* node);

enum command_result { kDone, kDeferred, kFailed };

// Runs one command line; the answer's words are in node->reply, errno says why one failed.
enum command_result run_command(struct node* node, int count, char** words);

// Tells whoever awaits it that a stream's goal is reached, once.
void check_goal(struct stream_log* stream);

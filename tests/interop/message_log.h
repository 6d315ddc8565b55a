// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The messages of the interop tests: how one is made, how it is recognised, and the book that a
// node keeps of what reached it. It is not tied to any library: it sees bytes only.
//
// A message of 16 bytes or more begins with a header and goes on with bytes that are a function of
// the header and the channel, so a receiver can verify every byte of it with no other knowledge:
//
//    0       2        4             6        8              12            16
//    +-------+--------+-------------+--------+--------------+-------------+------- ~ ---+
//    | magic | sender | destination | stream | index        | size        | pattern     |
//    +-------+--------+-------------+--------+--------------+-------------+------- ~ ---+
//
// A shorter ("tiny") message is nothing but pattern, a function of channel and size. The book has
// tiny messages as sender 0, stream 0, with the size as the index.
//
// The pattern looks random, which no compressor makes shorter; that of the streams from kRepeating
// on repeats itself, which every compressor makes shorter.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  kMessageSizeMax = 65536,
  kMessageHeaderSize = 16,
  kBroadcast = 0xffff,
  kRepeating = 0x8000,
  kStreamsMax = 64,
  kIndexMax = 1 << 20,
};

struct message {
  uint16_t sender;
  uint16_t destination;  // kBroadcast, or a node
  uint16_t stream;
  uint32_t index;
  uint32_t size;
};

// Writes message->size bytes to `out`.
void message_write(const struct message* message, int channel, unsigned char* out);

// Reads the header only; false when it cannot be one of ours.
bool message_peek(const unsigned char* bytes, size_t size, struct message* message);

struct stream_log {
  uint16_t sender;
  uint16_t stream;
  int channel;
  uint32_t unique;      // different indices that arrived
  uint32_t duplicates;  // arrivals of an index that was there already
  uint32_t reordered;   // arrivals of a new index below one that was there already
  uint32_t highest;     // the highest index so far
  bool awaited;         // somebody waits for the indices goal_from .. goal_to - 1,
  uint32_t goal_from;   // of which goal_left are not there yet
  uint32_t goal_to;
  uint32_t goal_left;
  unsigned char* seen;  // one bit per index
};

struct message_log {
  struct stream_log streams[kStreamsMax];
  size_t stream_count;
  uint32_t corrupt;
};

// Verifies a message and enters it. NULL when it was corrupt (or the book is full), which is
// counted.
struct stream_log* message_log_enter(struct message_log* log, int channel,
                                     const unsigned char* bytes, size_t size);

// The page of a stream, made when it is not there yet; NULL when the book is full.
struct stream_log* message_log_find(struct message_log* log, uint16_t sender, uint16_t stream,
                                    int channel);

// Sets the goal: all indices from, from + 1, ... to - 1.
void stream_log_aim(struct stream_log* stream, uint32_t from, uint32_t to);

// Empties the book; who has a page of it has it no more.
void message_log_clear(struct message_log* log);

// How many of the indices from, from + 1, ... to - 1 arrived.
uint32_t stream_log_present(const struct stream_log* stream, uint32_t from, uint32_t to);

// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The messages of the interop tests and the book of what arrived; see message_log.h. The pattern is
// a plain 64-bit mixing generator: not for secrets, only so that no two messages look alike.
#include "message_log.h"

#include <stdlib.h>
#include <string.h>

static const uint16_t kMagic = 0x6b52;

static uint64_t mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15u;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

enum { kPatternStep = 8, kPatternPeriod = 64 };

// One message's pattern: a function of the key, all along or with a period.
struct pattern {
  uint64_t key;
  size_t period;
};

static size_t pattern_step(struct pattern pattern, size_t at, size_t size, uint64_t* word) {
  *word = mix(pattern.key + at % pattern.period);
  return size - at < kPatternStep ? size - at : kPatternStep;
}

static void pattern_write(struct pattern pattern, size_t offset, size_t size, unsigned char* out) {
  uint64_t word = 0;
  for (size_t at = offset, step = 0; at < size; at += step) {
    step = pattern_step(pattern, at, size, &word);
    memcpy(out + at, &word, step);
  }
}

static bool pattern_matches(struct pattern pattern, size_t offset, size_t size,
                            const unsigned char* bytes) {
  uint64_t word = 0;
  for (size_t at = offset, step = 0; at < size; at += step) {
    step = pattern_step(pattern, at, size, &word);
    if (memcmp(bytes + at, &word, step) != 0) {
      return false;
    }
  }
  return true;
}

static struct pattern pattern_of(const struct message* message, int channel) {
  uint64_t key = mix(((uint64_t)channel << 32) | message->size);
  if (message->size < kMessageHeaderSize) {
    return (struct pattern){key, kMessageSizeMax};
  }
  key = mix(key ^ (((uint64_t)message->sender << 48) | ((uint64_t)message->destination << 32) |
                   message->stream));
  return (struct pattern){mix(key ^ message->index),
                          message->stream >= kRepeating ? kPatternPeriod : kMessageSizeMax};
}

static size_t header_size(const struct message* message) {
  return message->size < kMessageHeaderSize ? 0 : kMessageHeaderSize;
}

void message_write(const struct message* message, int channel, unsigned char* out) {
  if (header_size(message) != 0) {
    memcpy(out, &kMagic, 2);
    memcpy(out + 2, &message->sender, 2);
    memcpy(out + 4, &message->destination, 2);
    memcpy(out + 6, &message->stream, 2);
    memcpy(out + 8, &message->index, 4);
    memcpy(out + 12, &message->size, 4);
  }
  pattern_write(pattern_of(message, channel), header_size(message), message->size, out);
}

bool message_peek(const unsigned char* bytes, size_t size, struct message* message) {
  memset(message, 0, sizeof *message);
  if (size < kMessageHeaderSize) {
    message->destination = kBroadcast;
    message->size = (uint32_t)size;
    message->index = (uint32_t)size;
    return true;
  }
  uint16_t magic = 0;
  memcpy(&magic, bytes, 2);
  memcpy(&message->sender, bytes + 2, 2);
  memcpy(&message->destination, bytes + 4, 2);
  memcpy(&message->stream, bytes + 6, 2);
  memcpy(&message->index, bytes + 8, 4);
  memcpy(&message->size, bytes + 12, 4);
  return magic == kMagic && message->size == size && message->index < kIndexMax;
}

static bool message_matches(const struct message* message, int channel,
                            const unsigned char* bytes) {
  return pattern_matches(pattern_of(message, channel), header_size(message), message->size, bytes);
}

struct stream_log* message_log_find(struct message_log* log, uint16_t sender, uint16_t stream,
                                    int channel) {
  for (size_t i = 0; i < log->stream_count; ++i) {
    struct stream_log* page = &log->streams[i];
    if (page->sender == sender && page->stream == stream && page->channel == channel) {
      return page;
    }
  }
  if (log->stream_count == kStreamsMax) {
    return NULL;
  }
  struct stream_log* page = &log->streams[log->stream_count];
  page->seen = calloc(kIndexMax / 8, 1);
  if (page->seen == NULL) {
    return NULL;
  }
  page->sender = sender;
  page->stream = stream;
  page->channel = channel;
  ++log->stream_count;
  return page;
}

static bool is_seen(const struct stream_log* stream, uint32_t index) {
  return (stream->seen[index / 8] >> (index % 8)) & 1;
}

struct stream_log* message_log_enter(struct message_log* log, int channel,
                                     const unsigned char* bytes, size_t size) {
  struct message message;
  struct stream_log* page = NULL;
  if (message_peek(bytes, size, &message) && message_matches(&message, channel, bytes)) {
    page = message_log_find(log, message.sender, message.stream, channel);
  }
  if (page == NULL) {
    ++log->corrupt;
    return NULL;
  }
  if (is_seen(page, message.index)) {
    ++page->duplicates;
    return page;
  }
  page->seen[message.index / 8] |= (unsigned char)(1u << (message.index % 8));
  if (page->unique > 0 && message.index < page->highest) {
    ++page->reordered;
  } else {
    page->highest = message.index;
  }
  if (message.index >= page->goal_from && message.index < page->goal_to) {
    --page->goal_left;
  }
  ++page->unique;
  return page;
}

void stream_log_aim(struct stream_log* stream, uint32_t from, uint32_t to) {
  stream->awaited = true;
  stream->goal_from = from;
  stream->goal_to = to < kIndexMax ? to : kIndexMax;
  stream->goal_left = to - from - stream_log_present(stream, from, to);
}

void message_log_clear(struct message_log* log) {
  for (size_t i = 0; i < log->stream_count; ++i) {
    free(log->streams[i].seen);
  }
  memset(log, 0, sizeof *log);
}

uint32_t stream_log_present(const struct stream_log* stream, uint32_t from, uint32_t to) {
  uint32_t present = 0;
  for (uint32_t index = from; index < to && index < kIndexMax; ++index) {
    present += is_seen(stream, index) ? 1 : 0;
  }
  return present;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What this library offers beyond libknet 1.x to services that embed it: messages without
 * descriptors, and a handle without a thread. Everything of libknet.h works with these handles and
 * channels as well, and nodes see no difference on the wire.
 *
 * Programs that are to run on the classic library, too, test for LIBKNET_HAVE_EXT when they are
 * compiled and look the functions up by dlsym when they run. The symbols have a version of their
 * own, RINGKNET_1.
 *
 * Errors are as in libknet.h: 0 or -1 and errno; EINVAL for a handle that is none, a NULL pointer
 * where none is allowed, a channel out of 0 .. KNET_DATAFD_MAX - 1.
 */
#ifndef RINGKNET_LIBKNET_EXT_H
#define RINGKNET_LIBKNET_EXT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "libknet.h"

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* What is there: channels without descriptors and handles without a thread; and by name */
#define LIBKNET_HAVE_EXT 1
#define LIBKNET_HAVE_EXT_BUSY_POLL 1
#define LIBKNET_HAVE_EXT_OFFLOAD 1

/*
 * Messages without descriptors
 */

/*
 * A message has come for the channel. It is called on the engine thread, with the message where it
 * lies: the bytes are valid until it returns, and while it runs the handle neither sends nor
 * receives. Every call of the library is allowed inside, knet_ext_send first of all. The order is
 * that of arrival; callbacks about hosts and links follow at the end of the turn, so the first
 * message of a host may come before the callback that says that it is reachable.
 */
typedef void (*knet_ext_message_fn)(void* private_data, const void* message, size_t size,
                                    knet_node_id_t source, int8_t channel);

/*
 * There is room again. It is called on the engine thread, once after knet_ext_send was refused
 * there with EAGAIN, for every channel that has such a function.
 */
typedef void (*knet_ext_room_fn)(void* private_data);

/*
 * Opens a channel without a descriptor. *channel is the one wanted, or -1 for the lowest that is
 * free, and then says which. Channels with descriptors and without share the numbers; a filter
 * works for both. room may be NULL.
 *
 *   EBUSY  the channel, or every channel, is in use; *channel is unchanged
 */
int knet_ext_open_channel(knet_handle_t knet_h, int8_t* channel, knet_ext_message_fn message,
                          knet_ext_room_fn room, void* private_data);

/*
 * Closes it. When the call has returned to another thread than the engine's, its callbacks are not
 * running and will not run again.
 *
 *   EINVAL  the channel is not open, or has a descriptor
 */
int knet_ext_close_channel(knet_handle_t knet_h, int8_t channel);

/* Do not wait for room. */
#define KNET_EXT_DONTWAIT 1

/*
 * Sends one message of 1 to KNET_MAX_PACKET_SIZE bytes by such a channel, to the hosts that the
 * filter chooses, or all. The bytes are copied before it returns: 0 is success.
 *
 * On the engine thread (in a callback, or as the thread that drives the handle) the message is
 * handed to the links at once, and it never waits: KNET_EXT_DONTWAIT changes nothing.
 *   EAGAIN     no room: as much as may be is under way; room() will be called
 *   EHOSTDOWN  none of the hosts can be reached
 *   EFAULT, EINVAL  the filter failed, or chose nobody
 *
 * From any other thread the message is put in line without a lock and the engine is woken if it
 * sleeps. The line is short; when it is full the call waits until the engine has taken something,
 * or fails at once with KNET_EXT_DONTWAIT. In a callback of another handle it never waits.
 *   EAGAIN     the line is full
 * What becomes of the message then is not told, as with knet_send.
 *
 *   EINVAL     the channel is not open, or has a descriptor; size is 0 or too large; unknown flags
 *   ECANCELED  forwarding is off (knet_handle_setfwd)
 */
int knet_ext_send(knet_handle_t knet_h, int8_t channel, const void* message, size_t size,
                  unsigned int flags);

/*
 * Latency for processor time: before the engine goes to sleep it looks for something to do for at
 * most so many nanoseconds, up to one second; 0, as a new handle has it, switches that off. It
 * adapts: looking in vain makes it look for half as long the next time, down to not at all, and
 * what comes within that time of falling asleep brings all of it back, so that an idle handle costs
 * what it costs without. A few times the distance between messages, or between a message and its
 * answer, is what is useful: 20 to 100 microseconds. Where the kernel (6.9 and later) and the
 * device can poll for packets they do that meanwhile. Nothing of it happens while the engine thread
 * is in a real-time scheduling class. A handle without a thread looks in knet_ext_run_once when its
 * timeout is not 0.
 *
 *   EINVAL  negative, or more than a second
 */
int knet_ext_set_busy_poll(knet_handle_t knet_h, int64_t nanoseconds);

/*
 * Segmentation and receive offload (UDP_SEGMENT, UDP_GRO), of all links of the handle: the kernel
 * splits runs of packets as late as possible, in the device if it can, and joins what comes in.
 * That is most of the throughput. On (1) in a new handle, unless the environment had
 * RINGKNET_OFFLOAD=0 when it was made (not in set-user-id programs). A socket for which splitting
 * fails, a link on which runs do not arrive in one piece, as a firewall's rule on the length of
 * packets may cause, and a socket at which messages are missing while what comes is joined, and not
 * else, go on without it by themselves: one line in the log, and another try after a minute, later
 * up to an hour. 0 is for devices that damage what they split; a socket
 * goes on joining until nothing waits in it. Setting 1 tries it again everywhere.
 *
 *   EINVAL  neither 0 nor 1
 */
int knet_ext_set_offload(knet_handle_t knet_h, int on);

/*
 * A handle without a thread
 */

/* The handle has no thread: see knet_ext_run_once. */
#define KNET_EXT_CALLER_DRIVEN (1ULL << 32)

/*
 * As knet_handle_new_ex, which describes the arguments, the flags and the errors; flags may have
 * KNET_EXT_CALLER_DRIVEN as well. The thread that creates such a handle is its engine thread: it
 * alone may drive and free it (EPERM for others), its own calls are carried out at once, and calls
 * of other threads wait until it drives: who drives must not wait for them in any other way. It
 * must not end before the handle is freed. As its calls do not wait, knet_link_set_config answers
 * EADDRINUSE at once: drive for up to three seconds and ask again where a killed process may still
 * hold the address.
 */
knet_handle_t knet_ext_handle_new(knet_node_id_t host_id, int log_fd, uint8_t default_log_level,
                                  uint64_t flags);

/*
 * Drives the handle: sends what was handed over, waits until there is something to do, but not for
 * longer than timeout nanoseconds (0: does not wait; negative: as long as it takes), and does it,
 * callbacks included. Links need it at least every few milliseconds or when the descriptor says so:
 * a handle that nobody drives is silent, and its peers take its links down.
 *
 *   EPERM    another thread created the handle, or it has a thread of its own
 *   EDEADLK  called from inside a callback of this handle, whatever called that: also from what
 *            comes back within knet_ext_send or from a filter. Another handle may be driven there
 */
int knet_ext_run_once(knet_handle_t knet_h, int64_t timeout);

/*
 * A descriptor for poll, epoll and the like: readable when knet_ext_run_once has something to do,
 * timers included. It belongs to the library and lives as long as the handle. After calls from
 * outside callbacks (a message handed over, a link configured) drive once before waiting for it.
 * -1 on errors.
 *
 *   EPERM           as for knet_ext_run_once
 *   EMFILE, ENFILE  too many descriptors are open
 */
int knet_ext_get_fd(knet_handle_t knet_h);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif /* RINGKNET_LIBKNET_EXT_H */

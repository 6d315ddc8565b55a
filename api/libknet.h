/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libknet.h - the C interface of ringknet, binary compatible with libknet 1.x (KNET_API_VER 1).
 *
 * This header is the contract: what every call does, in which units, who owns what, which thread
 * runs it, whether it waits, and every errno it can leave. It declares what the library exports and
 * nothing else. How the protocol works on the wire is not described here.
 *
 * WHAT IT IS FOR. A handle is one node of a small, fixed group of nodes (hosts). Each pair of hosts
 * is joined by up to KNET_MAX_LINK links, which are independent network paths. Applications put
 * whole messages of 1 to KNET_MAX_PACKET_SIZE bytes into a channel (a data descriptor); the same
 * messages come out of the channel with the same number on the destination hosts: intact or not at
 * all, at most once, as long as one link per pair works.
 *
 * THE USUAL ORDER.
 *   knet_handle_new_ex, knet_handle_enable_sock_notify, knet_handle_add_datafd,
 *   knet_handle_setfwd(1), per host knet_host_add, per link knet_link_set_config and
 *   knet_link_set_enable(1);
 *   and back: knet_handle_setfwd(0), per link knet_link_set_enable(0) and knet_link_clear_config,
 *   per host knet_host_remove, knet_handle_free.
 *
 * RESULTS. Unless a call says otherwise it returns 0 on success, with errno set to 0, and -1 on
 * failure, with errno set to one of the values listed with it. Arguments are checked in the order
 * in which the errors are listed; the first one that applies is reported. A failed call changes
 * nothing, neither in the handle nor in the caller's memory, unless said otherwise.
 *
 * Three errors are common to all calls that take a handle and are not repeated below:
 *   EINVAL  the handle is not a live handle of this process: NULL, already freed, or never one. The
 *           pointer is only compared, never followed, so any value may be passed.
 *   EINVAL  the link id is KNET_MAX_LINK or more, for calls that take one.
 *   EINVAL  a pointer argument is NULL, unless the call gives NULL a meaning.
 * ENOMEM, out of memory, can come from every call that takes a handle and has nothing done.
 *
 * THREADS. A handle has one internal thread, the engine; it owns all protocol state and does all
 * network I/O. Every call may be made from any thread at any time, and also from inside every
 * callback. Most calls that take a handle are carried out by the engine between two batches of
 * packets: the caller waits for that turn, usually some tens of microseconds, and never for the
 * network or for a peer, unless its description says so. From inside a callback the call is carried
 * out at once. knet_send and knet_recv never involve the engine.
 *
 * CANCELLATION. No call is a cancellation point (pthread_cancel), and cancellation is disabled
 * while one runs, in callbacks that run in the caller's thread, too. A request that comes meanwhile
 * acts at the thread's next own cancellation point after the call, or at once when the call returns
 * if cancellation is asynchronous.
 *
 * SIGNALS. The engine thread has all signals blocked. No call raises SIGPIPE or changes what is
 * done about signals. A signal handler may make calls that take a handle, also while its thread is
 * inside a call on the same handle: that is answered by the engine. Only what would have to wait
 * for the interrupted call says EDEADLK: knet_handle_free, and knet_handle_remove_datafd on a
 * channel that the thread is just sending to or receiving from; and of a handle without a thread
 * (libknet_ext.h) every call that a handler makes while the thread that drives is inside a call. A
 * process that a handler forks inside a call must not return from the handler.
 *
 * CALLBACKS run on the engine thread, with no lock held and after the state they report has been
 * stored. While one runs, this handle neither sends nor receives: a callback must not wait for
 * anything, least of all for a thread that is itself inside a call on the same handle. Replacing or
 * removing a callback takes effect for the next event; once the replacing call has returned to an
 * application thread the old callback is not running and will not run again.
 *
 * MEMORY. The library keeps no pointer into caller memory after a call has returned, except the
 * private pointers of callbacks, which it never follows. Every const char * it returns points to a
 * constant that lives as long as the library is loaded.
 *
 * FORK. A handle belongs to the process that made it. In a forked child every call with it says
 * EINVAL; the child may make handles of its own.
 */
/* NOLINTBEGIN(modernize-*,bugprone-reserved-identifier): it is C as well */
#ifndef __LIBKNET_H__
#define __LIBKNET_H__

#include <limits.h>
#include <netinet/in.h>
#include <sched.h> /* struct timespec, which <time.h> hides under strict C99 */
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __GNUC__
#pragma GCC visibility push(default) /* the library hides everything but this */
#endif

/* ----------------------------------------------------------------------------------------------- *
 * Limits and identities
 * ---------------------------------------------------------------------------------------------- */

/* Generation of this interface: 1 in all of libknet 1.x. */
#define KNET_API_VER 1

/*
 * Number of possible host ids (0 to 65535), and the size of an array that can take any list of
 * them.
 */
#define KNET_MAX_HOST 65536

/* Links per host; link ids are 0 to KNET_MAX_LINK - 1. */
#define KNET_MAX_LINK 8

/* Longest message in bytes, inclusive. */
#define KNET_MAX_PACKET_SIZE 65536

/*
 * Sizes of text buffers for a host name or a numeric address, and for a port number, including the
 * closing NUL.
 */
#define KNET_MAX_HOST_LEN 256
#define KNET_MAX_PORT_LEN 6

/* Number of channels; channel ids are 0 to KNET_DATAFD_MAX - 1. */
#define KNET_DATAFD_MAX 32

/* Direction argument of callbacks: from the application to the network, and back. */
#define KNET_NOTIFY_TX 0
#define KNET_NOTIFY_RX 1

/*
 * One node: an opaque pointer, valid from knet_handle_new or knet_handle_new_ex to
 * knet_handle_free.
 */
typedef struct knet_handle* knet_handle_t;

/*
 * The number of a host, chosen by the application and unique within the group. All values are
 * allowed, 0 too.
 */
typedef uint16_t knet_node_id_t;

/* ----------------------------------------------------------------------------------------------- *
 * Handle: creation and end
 * ---------------------------------------------------------------------------------------------- */

/*
 * Handle flag: insist on large socket buffers, by means that need CAP_NET_ADMIN where the system's
 * limits are lower (net.core.rmem_max, net.core.wmem_max), and refuse to create a handle that does
 * not get them.
 */
#define KNET_HANDLE_FLAG_PRIVILEGED (1ULL << 0)

/*
 * Creates a handle and starts its engine thread.
 *
 * host_id            id of the local host. It does not have to be added with knet_host_add, except
 *                    to make a link to itself. One process may have any number of handles, also
 *                    with equal ids.
 * log_fd             0 for no logging, else a descriptor to which log records are written (see
 *                    "Logging"). It stays the caller's: it is not checked, not changed and not
 *                    closed. It must stay open as long as the handle.
 * default_log_level  KNET_LOG_ERR to KNET_LOG_DEBUG, set for all subsystems. Ignored when log_fd is
 *                    0.
 * flags              0, or KNET_HANDLE_FLAG_PRIVILEGED.
 *
 * A new handle has forwarding off, no callbacks, no channels and no hosts; its other settings are
 * the defaults named below. It waits for the engine thread to start, some milliseconds.
 *
 * Returns the handle, or NULL with errno:
 *   EINVAL        log_fd is negative, or not below the hard limit of open files of the process
 *   EINVAL        log_fd is not 0 and default_log_level is above KNET_LOG_DEBUG
 *   EINVAL        an unknown flag is set
 *   ENOMEM        out of memory, or the limit of locked memory is too low
 *   ENAMETOOLONG  KNET_HANDLE_FLAG_PRIVILEGED is set, the system caps socket buffers below 8 MiB
 *                 and this process may not exceed the cap. Trying again without the flag accepts
 *                 smaller buffers, at the price of more messages lost under load.
 *   ENOSYS        the kernel has no io_uring, or one that lacks what is needed (Linux 6.1 or later
 *                 has it)
 *   EPERM         io_uring is forbidden to this process, by the kernel.io_uring_disabled setting or
 *                 a seccomp filter
 *   EMFILE, ENFILE, EAGAIN  no more descriptors or threads to be had
 * When log_fd is given, the cause is also written there.
 */
knet_handle_t knet_handle_new_ex(knet_node_id_t host_id, int log_fd, uint8_t default_log_level,
                                 uint64_t flags);

/* The same as knet_handle_new_ex with KNET_HANDLE_FLAG_PRIVILEGED. */
knet_handle_t knet_handle_new(knet_node_id_t host_id, int log_fd, uint8_t default_log_level);

/*
 * Ends a handle: stops the engine thread, closes its sockets and the descriptors that the library
 * itself created in knet_handle_add_datafd. Descriptors handed in by the application and the log
 * descriptor stay open. Messages not yet sent are dropped; knet_handle_setfwd(knet_h, 0) beforehand
 * sends them. No callback runs after it has returned, and none is called because of it.
 *
 * Calls that other threads are making on the same handle are finished first; later ones get EINVAL.
 * It waits for them and for the engine, some milliseconds.
 *
 *   EBUSY    at least one host is still there; nothing was done
 *   EDEADLK  called from inside a callback of this handle, which would have to wait for itself;
 *            nothing was done
 */
int knet_handle_free(knet_handle_t knet_h);

/* ----------------------------------------------------------------------------------------------- *
 * Channels and data descriptors
 * ---------------------------------------------------------------------------------------------- */

/*
 * Installs the callback for trouble on data descriptors. It is required before the first
 * knet_handle_add_datafd, may be replaced at any time, and cannot be removed.
 *
 * The callback gets priv as given here, the descriptor of the application's side, its channel, and:
 *
 *   tx_rx           error  errorno
 *   KNET_NOTIFY_TX    0     0       end of file: the application has closed its end, nothing more
 *                                   will come from it. Reported once; the descriptor is not read
 *                                   any more.
 *   KNET_NOTIFY_TX   -1     number  reading failed with this errno. Reported once; the descriptor
 *                                   is not read any more.
 *   KNET_NOTIFY_RX   -1     EAGAIN  a received message was dropped because the application does not
 *                                   read fast enough. Reported for every message dropped; the
 *                                   descriptor stays in use.
 *   KNET_NOTIFY_RX   -1     number  writing a received message failed with this errno and the
 *                                   message is lost.
 *
 * After the first two the channel stays taken until knet_handle_remove_datafd, which may be called
 * from inside the callback. When the channel of the callback is removed no further event comes for
 * it.
 *
 *   EINVAL  the callback is NULL
 */
int knet_handle_enable_sock_notify(knet_handle_t knet_h, void* sock_notify_fn_private_data,
                                   void (*sock_notify_fn)(void* private_data, int datafd,
                                                          int8_t channel, uint8_t tx_rx, int error,
                                                          int errorno));

/*
 * Opens a channel: connects a descriptor to a channel number. What the application writes there
 * goes to the network; what other hosts send into the channel with the same number is to be read
 * there.
 *
 * *datafd   0 or negative: the library makes a connected pair of sockets (AF_UNIX, SOCK_SEQPACKET,
 *           so that one write is one message) and stores the application's end, which the library
 *           owns and closes in knet_handle_remove_datafd or knet_handle_free. It is non-blocking
 *           and close-on-exec.
 *           Positive: this descriptor is used for both directions. It stays the application's, must
 *           stay open until it is removed, and is made non-blocking and close-on-exec. Anything
 *           that can be polled, read and written will do. One read is one message: stream
 *           descriptors do not keep message boundaries.
 * *channel  0 to KNET_DATAFD_MAX - 1: this channel. Negative: the lowest free channel, which is
 *           stored here.
 *
 * Both are stored only on success.
 *
 *   EINVAL  *channel is KNET_DATAFD_MAX or more
 *   EINVAL  no callback has been installed with knet_handle_enable_sock_notify
 *   EEXIST  *datafd is positive and in use for a channel of this handle already
 *   EBUSY   the channel is taken, or, where the lowest free one is wanted, all are
 *   EBADF   *datafd is positive and not an open descriptor
 *   EPERM   *datafd cannot be polled: a regular file, for example
 *   EMFILE, ENFILE, ENOMEM  no pair of sockets could be made
 *   ENAMETOOLONG  the pair's buffers could not be made large enough on a privileged handle, see
 *                 knet_handle_new_ex
 */
int knet_handle_add_datafd(knet_handle_t knet_h, int* datafd, int8_t* channel);

/*
 * Closes a channel, given by the descriptor of the application's side. The descriptor is closed if
 * the library made it and left open if the application handed it in. Messages in either direction
 * that are still inside are dropped.
 *
 *   EINVAL  datafd is not positive, or not in use for a channel of this handle
 */
int knet_handle_remove_datafd(knet_handle_t knet_h, int datafd);

/*
 * Stores the channel number of a descriptor in *channel.
 *
 *   EINVAL  datafd is not positive
 *   EINVAL  channel is NULL
 *   EINVAL  datafd is not in use for a channel of this handle; *channel is then -1
 */
int knet_handle_get_channel(knet_handle_t knet_h, const int datafd, int8_t* channel);

/*
 * Stores the descriptor of the application's side of a channel in *datafd.
 *
 *   EINVAL  channel is negative, or KNET_DATAFD_MAX or more
 *   EINVAL  datafd is NULL
 *   EINVAL  the channel is not open
 */
int knet_handle_get_datafd(knet_handle_t knet_h, const int8_t channel, int* datafd);

/* ----------------------------------------------------------------------------------------------- *
 * Sending and receiving
 * ---------------------------------------------------------------------------------------------- */

/*
 * Takes one message from a channel: the same as one read of buff_len bytes from its descriptor,
 * which is non-blocking. A message longer than buff_len is cut and its rest is lost. The engine is
 * not involved: no waiting.
 *
 * On a channel opened with a descriptor of the application this reads that very descriptor, in
 * competition with the engine, instead of what came from the network.
 *
 * Returns the number of bytes stored in buff; 0 at end of file; or -1 with errno:
 *   EINVAL  buff is NULL; buff_len is 0 or above KNET_MAX_PACKET_SIZE; channel is negative, or
 *           KNET_DATAFD_MAX or more, or not open
 *   EAGAIN  no message is waiting
 *   and what the read sets.
 */
ssize_t knet_recv(knet_handle_t knet_h, char* buff, const size_t buff_len, const int8_t channel);

/*
 * Puts one message into a channel: the same as one write of buff_len bytes to its descriptor, which
 * is non-blocking. It returns once the message is queued, before the filter has seen it: a message
 * that has no reachable destination, or that the filter refuses, or that finds forwarding off, is
 * dropped later without a word. Messages of one channel are sent in the order in which they were
 * put in. The engine is not involved: no waiting.
 *
 * On a channel opened with a descriptor of the application this writes to that very descriptor, so
 * the message goes to whatever is at its other end and not to the network.
 *
 * Returns buff_len, or -1 with errno:
 *   EINVAL  as for knet_recv
 *   EAGAIN  the channel is full: the application produces faster than the network takes. Poll the
 *           descriptor for writing, then try again.
 *   and what the write sets; EPIPE without a signal where the descriptor is a socket.
 */
ssize_t knet_send(knet_handle_t knet_h, const char* buff, const size_t buff_len,
                  const int8_t channel);

/*
 * Sends one message to exactly one host, past the queue of the channel, and says what became of it.
 * The destination is the filter's choice. The caller waits for the engine's next turn, in which the
 * filter is called and the packets of the message are handed to the kernel; 0 means that this was
 * done, not that the message has arrived.
 *
 *   EINVAL     buff is NULL; buff_len is 0 or above KNET_MAX_PACKET_SIZE; channel is negative, or
 *              KNET_DATAFD_MAX or more
 *   ENETDOWN   no filter is installed
 *   EINVAL     the channel is not open
 *   ECANCELED  forwarding is off
 *   EFAULT     the filter returned an error
 *   EINVAL     the filter chose no destination, or more than KNET_MAX_HOST of them
 *   E2BIG      the filter chose broadcast, or more than one destination
 *   EHOSTDOWN  the destination is not a host of this handle, or not reachable
 *   EAGAIN     called from inside a callback while all send buffers are in flight; any other caller
 *              waits for them
 *
 * A destination that is the local host with a loopback link is delivered and 0 is returned.
 */
int knet_send_sync(knet_handle_t knet_h, const char* buff, const size_t buff_len,
                   const int8_t channel);

/*
 * Installs, replaces or (with NULL) removes the filter that chooses destinations. Without a filter
 * every message is sent to all reachable hosts, and every message received is delivered.
 *
 * The filter is called once for each message on its way out (tx_rx is KNET_NOTIFY_TX) and once for
 * each complete message received (KNET_NOTIFY_RX); messages delivered by a loopback link are not
 * shown to it a second time.
 *
 *   outdata, outdata_len   the message, as plain bytes; valid during the call, not to be changed
 *   this_host_id           the local host
 *   src_host_id            the sender; the local host on the way out
 *   channel                the channel of the message. The filter may change it: on the way out the
 *                          message then goes into that channel of its destinations, on the way in
 *                          it is delivered there. A value that is not a channel, and on the way in
 *                          also one that is not open, drops the message.
 *   dst_host_ids           room for KNET_MAX_HOST ids, with undefined content
 *   dst_host_ids_entries   0 on entry
 *
 * It returns
 *   < 0  drop the message
 *     0  send it to the first *dst_host_ids_entries ids of dst_host_ids; unknown and unreachable
 *        hosts among them are skipped. On the way in: deliver only if the local host is among them
 *   > 0  send it to all reachable hosts. On the way in: deliver it
 *
 * It runs on the engine thread, also for knet_send_sync, and is in the path of every message: it
 * must be quick.
 */
int knet_handle_enable_filter(
    knet_handle_t knet_h, void* dst_host_filter_fn_private_data,
    int (*dst_host_filter_fn)(void* private_data, const unsigned char* outdata, ssize_t outdata_len,
                              uint8_t tx_rx, knet_node_id_t this_host_id,
                              knet_node_id_t src_host_id, int8_t* channel,
                              knet_node_id_t* dst_host_ids, size_t* dst_host_ids_entries));

/*
 * Switches forwarding: 1 lets messages pass in both directions, 0 (the state of a new handle) stops
 * them. While it is off, links work and detect failures as ever, messages put into channels are
 * read and dropped, and messages from other hosts are dropped.
 *
 * Switching off waits until every message that was put into a channel before the call has been
 * handed to the kernel, at most two seconds, so that a farewell message gets out. From inside a
 * callback it does not wait: the messages are sent after the callback has returned, and then
 * forwarding is off.
 *
 *   EINVAL  enabled is neither 0 nor 1
 */
int knet_handle_setfwd(knet_handle_t knet_h, unsigned int enabled);

/*
 * The DSCP, 0 to 63, in the packets of links with KNET_LINK_FLAG_TRAFFICHIPRIO whose sockets are
 * opened from now on; 0 for the default, the low-delay mark. Set it before the links.
 *
 *   EINVAL  dscp is above 63
 */
int knet_handle_setprio_dscp(knet_handle_t knet_h, uint8_t dscp);

/*
 * Whether dynamic links consult their access lists (1) or take packets from everywhere (0, the
 * default). Static links take packets from their peer's address only, in either case.
 *
 *   EINVAL  enabled is above 1
 */
int knet_handle_enable_access_lists(knet_handle_t knet_h, unsigned int enabled);

/* ----------------------------------------------------------------------------------------------- *
 * Path MTU discovery
 *
 * A link's MTU is the longest piece of a message that fits into one packet of that link. For an
 * interface MTU m it is, without encryption, m - 54 over IPv4 and m - 74 over IPv6: less the IP and
 * UDP headers and 26 bytes that are set aside for the packet's own header. A link starts with the
 * smallest value any path must carry and is searched upwards while it is in use. The data MTU of
 * the handle is the smallest MTU of its usable links. Messages may be longer; they are sent in
 * pieces.
 * ---------------------------------------------------------------------------------------------- */

/* Time between two searches of an unchanged path, in seconds. */
#define KNET_PMTUD_DEFAULT_INTERVAL 60

/*
 * Sets the time between two searches, in seconds: 1 to 86400. A path whose MTU has grown is noticed
 * by the next search; one whose MTU has shrunk is noticed without waiting for it.
 *
 *   EINVAL  interval is 0 or above 86400
 */
int knet_handle_pmtud_setfreq(knet_handle_t knet_h, unsigned int interval);

/* Stores the time between two searches in *interval, in seconds. */
int knet_handle_pmtud_getfreq(knet_handle_t knet_h, unsigned int* interval);

/*
 * Installs, replaces or (with NULL) removes the callback for the data MTU. It is called with priv
 * as given here and the data MTU in bytes, after every reset to the smallest value (a link comes
 * up, a connected link is enabled or disabled), even if the value stays the same, and after every
 * change that a search brings. It is not called on installation.
 */
int knet_handle_enable_pmtud_notify(knet_handle_t knet_h, void* pmtud_notify_fn_private_data,
                                    void (*pmtud_notify_fn)(void* private_data,
                                                            unsigned int data_mtu));

/*
 * Sets the MTU of the interfaces by hand: 1 to 65535 bytes, headers of IP included, for all links;
 * 0 goes back to searching. With a value there are no searches and each link has the MTU that the
 * value allows, but not less than 259 bytes, without which the longest message could not be sent.
 *
 *   EINVAL  iface_mtu is above 65535
 */
int knet_handle_pmtud_set(knet_handle_t knet_h, unsigned int iface_mtu);

/*
 * Stores the current data MTU of the handle in *data_mtu, in bytes: 482 for a new handle. While no
 * link is usable it keeps the last value.
 */
int knet_handle_pmtud_get(knet_handle_t knet_h, unsigned int* data_mtu);

/* ----------------------------------------------------------------------------------------------- *
 * Encryption and compression
 * ---------------------------------------------------------------------------------------------- */

/* Bounds of the private key, in bytes. */
#define KNET_MIN_KEY_LEN 128
#define KNET_MAX_KEY_LEN 4096

/* Whether packets that are not encrypted are accepted beside encrypted ones. */
#define KNET_CRYPTO_RX_ALLOW_CLEAR_TRAFFIC 0
#define KNET_CRYPTO_RX_DISALLOW_CLEAR_TRAFFIC 1

/* One encryption set-up. The texts are NUL-terminated. */
struct knet_handle_crypto_cfg {
  char crypto_model[16];                       /* "nss", "openssl", or "none" */
  char crypto_cipher_type[16];                 /* name of a cipher, or "none" */
  char crypto_hash_type[16];                   /* name of a hash, or "none" */
  unsigned char private_key[KNET_MAX_KEY_LEN]; /* key material shared by all hosts */
  unsigned int private_key_len;                /* bytes of it in use */
};

/*
 * Fills one of two key slots; packets that are received are tried against every filled slot at
 * once, what is sent is encrypted as knet_handle_crypto_use_config says. To change keys without
 * losing a message: fill the other slot on all nodes, use it on all nodes, empty the old slot on
 * all nodes.
 *
 * Model "nss" takes aes128, aes192, aes256 and md5, sha1, sha256, sha384, sha512; model "openssl"
 * takes these and OpenSSL's names for AES in CBC and CTR mode and for the SHA-2 hashes, in any
 * case. Every model also takes aes-128-cbc for aes128, and CTR mode as aes-128-ctr or aes128-ctr,
 * and so on for 192 and 256 bits; the classic library knows aes-128-ctr of model "openssl" only.
 * Cipher "none" with a hash authenticates without encrypting. Both are the classic format, and one
 * can read the other. Model "wolfssl" takes openssl's names, and, with hash "none", aes128gcm,
 * aes256gcm and chachapoly1305: a format of this library alone that protects against replays, for
 * which all nodes must run it.
 *
 * A model that begins with "none", or cipher and hash that both do, empties the slot; nothing else
 * of the configuration is looked at then. Every failure leaves the slot as it was. Keys are copied
 * and wiped when they are replaced; cfg is the caller's to wipe.
 *
 *   -1 EINVAL  cfg is NULL, config_num is not 1 or 2, or the key is shorter than 128 or longer than
 * 4096 bytes -1 EBUSY   this slot is in use for sending -2 ENXIO   the model does not know the
 * cipher or the hash -2 EINVAL  a cipher without a hash, or a hash with a cipher that has no need
 * of one -2 EAGAIN  the system has no randomness -2 ENOMEM  no memory -2 0       there is no such
 * model, or a trial packet did not survive the combination
 */
int knet_handle_crypto_set_config(knet_handle_t knet_h,
                                  struct knet_handle_crypto_cfg* knet_handle_crypto_cfg,
                                  uint8_t config_num);

/*
 * Encrypts what is sent from now on with slot 1 or 2, or not at all with 0. Every path MTU is found
 * anew, as another format leaves another room for data; the MTU callback tells.
 *
 *   EINVAL  config_num is above 2, or the slot is empty
 */
int knet_handle_crypto_use_config(knet_handle_t knet_h, uint8_t config_num);

/*
 * Whether packets that no slot can decrypt are taken for clear ones
 * (KNET_CRYPTO_RX_ALLOW_CLEAR_TRAFFIC, the default) or dropped. Forbidding it without any filled
 * slot drops everything.
 *
 *   EINVAL  value is neither
 */
int knet_handle_crypto_rx_clear_traffic(knet_handle_t knet_h, uint8_t value);

/*
 * The older call: fills slot 1, even while it is in use, uses it and forbids clear traffic; or,
 * with a configuration that empties the slot, sends in clear and allows clear traffic. Returns and
 * errno as knet_handle_crypto_set_config, without EBUSY.
 */
int knet_handle_crypto(knet_handle_t knet_h, struct knet_handle_crypto_cfg* knet_handle_crypto_cfg);

/* Messages up to this length in bytes are not compressed, unless a threshold is given. */
#define KNET_COMPRESS_THRESHOLD 100

/* One compression set-up. The text is NUL-terminated. */
struct knet_handle_compress_cfg {
  char compress_model[16];     /* name of a compressor, or "none" */
  uint32_t compress_threshold; /* compress above this length; 0 for the default */
  int compress_level;          /* as the compressor defines it */
};

/*
 * Compresses messages longer than the threshold from now on, or none with model "none". Messages
 * that do not shrink go as they are; after several of these in a row most are not even tried, until
 * one shrinks again. Every node reads every model that its library was built with, whatever it uses
 * itself. Every failure leaves things as they were.
 *
 *   EINVAL  cfg is NULL, the model is unknown or not built in, the threshold is above 65536 or the
 * model refuses the level ENOMEM  no memory
 */
int knet_handle_compress(knet_handle_t knet_h,
                         struct knet_handle_compress_cfg* knet_handle_compress_cfg);

/* What is known of one encryption model; only name is filled in. */
struct knet_crypto_info {
  const char* name;
  uint8_t properties;
  char pad[256];
};

/* What is known of one compressor; only name is filled in. */
struct knet_compress_info {
  const char* name;
  uint8_t properties;
  char pad[256];
};

/* What is known of one cipher; all of it is filled in, unused bytes are zero. */
struct knet_crypto_cipher_info {
  const char* name;
  const char* mode;
  int key_bits;
  char pad[256];
};

/* What is known of one hash; all of it is filled in, unused bytes are zero. */
struct knet_crypto_hash_info {
  const char* name;
  int hash_bits;
  char pad[256];
};

/*
 * Lists of what this build has. The number of entries is stored in *entries; the entries themselves
 * in list, unless it is NULL: ask for the number first and bring that much room. Names live as long
 * as the library. Any thread, no handle.
 *
 *   EINVAL  entries is NULL
 */
int knet_get_crypto_list(struct knet_crypto_info* crypto_list, size_t* crypto_list_entries);
int knet_get_crypto_cipher_list(struct knet_crypto_cipher_info* cipher_list,
                                size_t* cipher_list_entries);
int knet_get_crypto_hash_list(struct knet_crypto_hash_info* hash_list, size_t* hash_list_entries);
int knet_get_compress_list(struct knet_compress_info* compress_list, size_t* compress_list_entries);

/* ----------------------------------------------------------------------------------------------- *
 * Statistics of a handle
 * ---------------------------------------------------------------------------------------------- */

/*
 * Counters of a handle since its creation or the last knet_handle_clear_stats. All times are in
 * nanoseconds. A minimum with nothing measured yet is the largest value of its type, an average or
 * maximum 0.
 */
struct knet_handle_stats {
  size_t size; /* size of this structure in the library, in bytes */

  uint64_t tx_uncompressed_packets;      /* messages sent as they are although compression is on */
  uint64_t tx_compressed_packets;        /* messages the compressor worked on */
  uint64_t tx_compressed_original_bytes; /* their length before */
  uint64_t tx_compressed_size_bytes;     /* and after */
  uint64_t tx_compress_time_ave;         /* time per message */
  uint64_t tx_compress_time_min;
  uint64_t tx_compress_time_max;
  uint64_t rx_compressed_packets;        /* messages received and decompressed */
  uint64_t rx_compressed_original_bytes; /* their length after decompression */
  uint64_t rx_compressed_size_bytes;     /* and before, with 8 bytes of header for each */
  uint64_t rx_compress_time_ave;
  uint64_t rx_compress_time_min;
  uint64_t rx_compress_time_max;

  uint64_t tx_crypt_packets;       /* packets encrypted: data and control */
  uint64_t tx_crypt_byte_overhead; /* bytes that encryption added to data packets */
  uint64_t tx_crypt_time_ave;      /* time per data packet, of each sixteenth message */
  uint64_t tx_crypt_time_min;
  uint64_t tx_crypt_time_max;
  uint64_t rx_crypt_packets;  /* data packets decrypted */
  uint64_t rx_crypt_time_ave; /* the same, of each sixteenth one */
  uint64_t rx_crypt_time_min;
  uint64_t rx_crypt_time_max;
};

/* What knet_handle_clear_stats clears. */
#define KNET_CLEARSTATS_HANDLE_ONLY 1
#define KNET_CLEARSTATS_HANDLE_AND_LINK 2

/*
 * Copies the counters of the handle to *stats: min(struct_size, the library's size) bytes, never
 * more. struct_size is sizeof(struct knet_handle_stats) as the caller knows it. Where it has room
 * for it, stats->size tells the library's size; a struct_size below sizeof(size_t) stores nothing
 * at all.
 */
int knet_handle_get_stats(knet_handle_t knet_h, struct knet_handle_stats* stats,
                          size_t struct_size);

/*
 * Sets counters back to their initial values: KNET_CLEARSTATS_HANDLE_ONLY those of
 * knet_handle_get_stats, KNET_CLEARSTATS_HANDLE_AND_LINK also the knet_link_stats of every link of
 * every host. The state of links (enabled, connected, latency, MTU) is not touched.
 *
 *   EINVAL  clear_option is neither
 */
int knet_handle_clear_stats(knet_handle_t knet_h, int clear_option);

/* ----------------------------------------------------------------------------------------------- *
 * Hosts
 * ---------------------------------------------------------------------------------------------- */

/*
 * Adds a host. It has no links, policy KNET_LINK_POLICY_PASSIVE, and its id in decimal digits as
 * its name. The local host may be added too, for a loopback link or for UDP links to itself.
 *
 *   EEXIST  it is there already
 *   ENOMEM  out of memory, or more hosts than this library carries
 */
int knet_host_add(knet_handle_t knet_h, knet_node_id_t host_id);

/*
 * Removes a host. No status callback comes of it.
 *
 *   EINVAL  there is no such host
 *   EBUSY   it has a configured link
 */
int knet_host_remove(knet_handle_t knet_h, knet_node_id_t host_id);

/*
 * Names a host. Names are for people; the wire knows only ids. An empty name is a name too.
 *
 *   EINVAL  there is no such host
 *   EINVAL  name is NULL
 *   EINVAL  name has KNET_MAX_HOST_LEN or more bytes
 *   EEXIST  a host has this very name already: another one, or this one
 */
int knet_host_set_name(knet_handle_t knet_h, knet_node_id_t host_id, const char* name);

/*
 * Stores the name of a host in name, at most KNET_MAX_HOST_LEN bytes with the closing NUL.
 *
 *   EINVAL  there is no such host
 */
int knet_host_get_name_by_host_id(knet_handle_t knet_h, knet_node_id_t host_id, char* name);

/*
 * Stores the id of the host with exactly this name in *host_id.
 *
 *   ENOENT  no host has this name
 */
int knet_host_get_id_by_host_name(knet_handle_t knet_h, const char* name, knet_node_id_t* host_id);

/*
 * Stores the ids of all hosts in host_ids, the one added last first, and their number in
 * *host_ids_entries. host_ids must have room for all of them; KNET_MAX_HOST ids always suffice.
 * Only the ids in use are written.
 */
int knet_host_get_host_list(knet_handle_t knet_h, knet_node_id_t* host_ids,
                            size_t* host_ids_entries);

/*
 * How messages are spread over the usable links of a host; usable is a link that is enabled and
 * connected.
 *   PASSIVE  the one with the highest priority; among equals, the one with the lowest id
 *   ACTIVE   all of them, each carrying every message
 *   RR       each in turn, message by message
 */
#define KNET_LINK_POLICY_PASSIVE 0
#define KNET_LINK_POLICY_ACTIVE 1
#define KNET_LINK_POLICY_RR 2

/*
 * Sets the policy for the links of a host.
 *
 *   EINVAL  policy is none of the above
 *   EINVAL  there is no such host
 */
int knet_host_set_policy(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t policy);

/*
 * Stores the policy of a host in *policy.
 *
 *   EINVAL  there is no such host
 */
int knet_host_get_policy(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t* policy);

/*
 * Installs, replaces or (with NULL) removes the callback for hosts that become reachable or
 * unreachable. It is called with priv as given here each time the reachable state of a host has
 * really changed, once per change and in order; remote and external are always 0. It is not called
 * on installation, nor for the local host with a loopback link, nor when a link is cleared or a
 * host removed.
 */
int knet_host_enable_status_change_notify(
    knet_handle_t knet_h, void* host_status_change_notify_fn_private_data,
    void (*host_status_change_notify_fn)(void* private_data, knet_node_id_t host_id,
                                         uint8_t reachable, uint8_t remote, uint8_t external));

/* State of a host. */
struct knet_host_status {
  uint8_t reachable; /* 1: at least one link is usable */
  uint8_t remote;    /* always 0 */
  uint8_t external;  /* always 0 */
};

/*
 * Stores the state of a host in *status.
 *
 *   EINVAL  there is no such host
 */
int knet_host_get_status(knet_handle_t knet_h, knet_node_id_t host_id,
                         struct knet_host_status* status);

/* ----------------------------------------------------------------------------------------------- *
 * Addresses as text. These calls take no handle and may be made anywhere; names are never looked
 * up, so they do not wait.
 * ---------------------------------------------------------------------------------------------- */

/*
 * Reads a numeric address and port. host is IPv4 or IPv6, also with a scope ("fe80::1%eth0"); port
 * is a decimal number, the empty text is 0. At most sslen bytes of the address are stored: 16 for
 * IPv4 and 28 for IPv6. The rest of *ss is not touched, so clear it first.
 *
 * Returns 0 with errno 0; -1 with errno EINVAL if an argument is NULL or sslen is 0; or else the
 * error number of getaddrinfo(3), for gai_strerror(3), with errno as that left it. EAI_NONAME is
 * the one for a text that is not numeric.
 */
int knet_strtoaddr(const char* host, const char* port, struct sockaddr_storage* ss,
                   socklen_t sslen);

/*
 * Writes an address as numeric texts into addr_buf and port_buf; KNET_MAX_HOST_LEN and
 * KNET_MAX_PORT_LEN bytes always suffice. A buffer of size 0 is skipped. The length of the address
 * follows from its family; sslen must only not be 0.
 *
 * Returns 0 with errno 0; -1 with errno EINVAL if an argument is NULL or sslen is 0; or else the
 * error number of getnameinfo(3): EAI_OVERFLOW if a buffer is too small, EAI_FAMILY if it is
 * neither IPv4 nor IPv6.
 */
int knet_addrtostr(const struct sockaddr_storage* ss, socklen_t sslen, char* addr_buf,
                   size_t addr_buf_size, char* port_buf, size_t port_buf_size);

/* ----------------------------------------------------------------------------------------------- *
 * Transports
 * ---------------------------------------------------------------------------------------------- */

/*
 * Kinds of links. LOOPBACK joins the local host with itself without a network. UDP is the one for
 * all others. SCTP has a number and a name for compatibility only: knet_link_set_config refuses it.
 */
#define KNET_TRANSPORT_LOOPBACK 0
#define KNET_TRANSPORT_UDP 1
#define KNET_TRANSPORT_SCTP 2

/* Number of possible transport ids, and the value that stands for none. */
#define KNET_MAX_TRANSPORTS UINT8_MAX

/* Time between two attempts of a transport to connect, in milliseconds. */
#define KNET_TRANSPORT_DEFAULT_RECONNECT_INTERVAL 1000

/* What is known of one transport; properties and pad are not written. */
struct knet_transport_info {
  const char* name;
  uint8_t id;
  uint8_t properties;
  char pad[256];
};

/*
 * Lists the transports by id and stores their number in *entries. list may be NULL, to ask for the
 * number only; else it must have room for that many. Takes no handle.
 *
 *   EINVAL  entries is NULL
 */
int knet_get_transport_list(struct knet_transport_info* transport_list,
                            size_t* transport_list_entries);

/*
 * Returns the name of a transport, or NULL with errno:
 *   EINVAL  transport is KNET_MAX_TRANSPORTS
 *   ENOENT  there is no such transport
 * Takes no handle.
 */
const char* knet_get_transport_name_by_id(uint8_t transport);

/*
 * Returns the id of the transport with exactly this name (upper case), or KNET_MAX_TRANSPORTS with
 * errno:
 *   EINVAL  name is NULL, or no transport has this name
 * Takes no handle.
 */
uint8_t knet_get_transport_id_by_name(const char* name);

/*
 * Sets the time between two attempts to connect, in milliseconds. It is kept and can be read back;
 * none of the transports this library carries connects, so nothing depends on it.
 *
 *   EINVAL  msecs is 0
 */
int knet_handle_set_transport_reconnect_interval(knet_handle_t knet_h, uint32_t msecs);

/* Stores the time between two attempts to connect in *msecs, in milliseconds. */
int knet_handle_get_transport_reconnect_interval(knet_handle_t knet_h, uint32_t* msecs);

/* ----------------------------------------------------------------------------------------------- *
 * Links
 * ---------------------------------------------------------------------------------------------- */

/*
 * Link flag: mark the packets of this link for low delay (type of service), for devices that go by
 * it.
 */
#define KNET_LINK_FLAG_TRAFFICHIPRIO (1ULL << 0)

/*
 * Configures a link to a host. It starts disabled and not connected, with priority 0 and the
 * defaults below.
 *
 * transport  KNET_TRANSPORT_UDP or KNET_TRANSPORT_LOOPBACK
 * src_addr   local address and port to send from and receive on. It need not be an address of this
 *            machine yet. Links, of whichever hosts, with equal source address and port share one
 *            socket. Port 0 takes any free port.
 * dst_addr   address and port of the other host; or NULL for a dynamic link, which learns it from
 *            the first packet that reaches src_addr from this host, and again when the host moves.
 *            Dynamic and static links cannot share a source.
 * flags      KNET_LINK_FLAG_TRAFFICHIPRIO or 0. Other bits are kept and can be read back, but mean
 *            nothing. Links that share a socket share the flags of the first.
 *
 * A loopback link needs the local host to have been added. It is the only link of that host, is
 * connected at once, and carries to the local host itself, without the network, all messages whose
 * destinations include it. dst_addr may be NULL.
 *
 *   EINVAL           src_addr is NULL
 *   EINVAL           dst_addr is given and of another family than src_addr
 *   EINVAL           transport is KNET_MAX_TRANSPORTS
 *   EINVAL           the transport is loopback and host_id is not the local host
 *   EINVAL           host_id is the local host and has a loopback link
 *   EINVAL           there is no such host
 *   EINVAL           the transport is loopback and the host has a link
 *   EBUSY            this link is configured already
 *   EINVAL           an address is of a family that has no numeric text
 *   EINVAL           another link has the same source and is dynamic where this one is static, or
 *                    the reverse
 *   EINVAL           there is no such transport
 *   EPROTONOSUPPORT  the transport is SCTP
 *   EOPNOTSUPP       the addresses are neither IPv4 nor IPv6
 *   EADDRINUSE       another socket has the source address and port. A killed process can keep its
 *                    sockets for most of a second, so the call asks again for three seconds first;
 *                    other calls go on meanwhile. Inside a callback, of whichever handle, it fails
 *                    at once
 *   EACCES           the source port is below 1024 and this process may not use it
 *   ENAMETOOLONG     the socket's buffers cannot be made large enough on a privileged handle, see
 *                    knet_handle_new_ex
 *   and what else socket, setsockopt and bind set.
 */
int knet_link_set_config(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id,
                         uint8_t transport, struct sockaddr_storage* src_addr,
                         struct sockaddr_storage* dst_addr, uint64_t flags);

/*
 * Stores the configuration of a link as it was set: addresses with unused bytes zero, *dynamic 1
 * for a link that was given no destination, else 0. dst_addr is not written for a dynamic link,
 * even while a peer is known (knet_link_get_status tells its address), and may be NULL then.
 *
 *   EINVAL  src_addr, dynamic, transport or flags is NULL
 *   EINVAL  there is no such host, or the link is not configured
 *   EINVAL  dst_addr is NULL and the link is not dynamic
 */
int knet_link_get_config(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id,
                         uint8_t* transport, struct sockaddr_storage* src_addr,
                         struct sockaddr_storage* dst_addr, uint8_t* dynamic, uint64_t* flags);

/*
 * Removes the configuration of a link with all its settings and counters, and closes its socket if
 * no other link uses it. No status callback comes of it.
 *
 *   EINVAL  there is no such host, or the link is not configured
 *   EBUSY   the link is enabled
 */
int knet_link_clear_config(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id);

/* How an entry of an access list matches a sender, and what it decides. */
typedef enum {
  CHECK_TYPE_ADDRESS = 0, /* equal to the address */
  CHECK_TYPE_MASK = 1,    /* equal to the address under a mask */
  CHECK_TYPE_RANGE = 2    /* between two addresses, both inclusive */
} check_type_t;

typedef enum { CHECK_ACCEPT = 0, CHECK_REJECT = 1 } check_acceptreject_t;

/*
 * Access list of a dynamic link: who may be its peer. Entries are looked through in their order,
 * the first that matches the sender's IP address decides, ports do not matter; who matches none is
 * rejected. The list counts while knet_handle_enable_access_lists is on, changes to it count from
 * the next packet on, and it goes with the link's configuration.
 *
 *   CHECK_TYPE_ADDRESS  ss1 is the address; ss2 is not looked at and may be NULL
 *   CHECK_TYPE_MASK     the address masked with ss2 is ss1
 *   CHECK_TYPE_RANGE    the address is ss1, ss2 or between them
 *
 * knet_link_insert_acl puts the entry at exactly that position, 0 being the first; a negative
 * index, or one behind the end, appends. knet_link_add_acl appends. knet_link_rm_acl removes the
 * entry that is the same in every respect, ports included.
 *
 *   EINVAL  ss1 is NULL, type or acceptreject is none of the above, ss2 is missing or of another
 * family than ss1 in a range EINVAL  there is no such host, the link is not configured, or it is
 * static EEXIST  (add, insert) the list has this very entry ENOENT  (rm) the list has no such entry
 */
int knet_link_add_acl(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id,
                      struct sockaddr_storage* ss1, struct sockaddr_storage* ss2, check_type_t type,
                      check_acceptreject_t acceptreject);
int knet_link_insert_acl(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id, int index,
                         struct sockaddr_storage* ss1, struct sockaddr_storage* ss2,
                         check_type_t type, check_acceptreject_t acceptreject);
int knet_link_rm_acl(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id,
                     struct sockaddr_storage* ss1, struct sockaddr_storage* ss2, check_type_t type,
                     check_acceptreject_t acceptreject);
int knet_link_clear_acl(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id);

/*
 * Enables (1) or disables (0) a link. Only an enabled link sends pings and carries messages. A
 * disabled link still answers its peer's pings, so the peer goes on seeing it connected, and it
 * keeps its own connected state. Setting the state it has does nothing.
 *
 *   EINVAL  enabled is neither 0 nor 1
 *   EINVAL  there is no such host, or the link is not configured
 */
int knet_link_set_enable(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id,
                         unsigned int enabled);

/*
 * Stores 1 in *enabled if the link is enabled, else 0.
 *
 *   EINVAL  there is no such host, or the link is not configured
 */
int knet_link_get_enable(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id,
                         unsigned int* enabled);

/* Defaults of a link: times in milliseconds, precision in samples, pong count in answers. */
#define KNET_LINK_DEFAULT_PING_INTERVAL 1000
#define KNET_LINK_DEFAULT_PING_TIMEOUT 2000
#define KNET_LINK_DEFAULT_PING_PRECISION 2048
#define KNET_LINK_DEFAULT_PONG_COUNT 5

/*
 * Sets how a link is watched. A ping goes out every interval milliseconds; a link without an answer
 * for timeout milliseconds is down. Both are exact to about a millisecond, there is no lower bound
 * but 1. precision is the number of samples over which the latency is averaged.
 *
 *   EINVAL  interval is 0 or negative
 *   ENOSYS  timeout is 0 or negative
 *   EINVAL  precision is 0
 *   EINVAL  there is no such host, or the link is not configured
 */
int knet_link_set_ping_timers(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id,
                              time_t interval, time_t timeout, unsigned int precision);

/*
 * Stores the settings of knet_link_set_ping_timers, in the same units.
 *
 *   EINVAL  there is no such host, or the link is not configured
 */
int knet_link_get_ping_timers(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id,
                              time_t* interval, time_t* timeout, unsigned int* precision);

/*
 * Sets how many answers in a row a link that is down must get, after the first, to be up: 1 to 255.
 *
 *   EINVAL  pong_count is 0
 *   EINVAL  there is no such host, or the link is not configured
 */
int knet_link_set_pong_count(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id,
                             uint8_t pong_count);

/*
 * Stores the setting of knet_link_set_pong_count in *pong_count.
 *
 *   EINVAL  there is no such host, or the link is not configured
 */
int knet_link_get_pong_count(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id,
                             uint8_t* pong_count);

/*
 * Sets the priority of a link, 0 to 255; a higher number goes first under KNET_LINK_POLICY_PASSIVE.
 *
 *   EINVAL  there is no such host, or the link is not configured
 */
int knet_link_set_priority(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id,
                           uint8_t priority);

/*
 * Stores the priority of a link in *priority.
 *
 *   EINVAL  there is no such host, or the link is not configured
 */
int knet_link_get_priority(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id,
                           uint8_t* priority);

/*
 * Stores the ids of the configured links of a host in link_ids, ascending, and their number in
 * *link_ids_entries. link_ids must have room for all of them; KNET_MAX_LINK ids always suffice.
 * Only the ids in use are written.
 *
 *   EINVAL  there is no such host
 */
int knet_link_get_link_list(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t* link_ids,
                            size_t* link_ids_entries);

/* Remembered times of a link going up, and of it going down. */
#define MAX_LINK_EVENTS 16

/*
 * Counters of a link since it was configured or knet_handle_clear_stats. Bytes are those of the
 * packets without IP and UDP headers, as sent; for received packets, after decryption. The order of
 * tx and rx differs between the groups, and is part of the binary interface.
 */
struct knet_link_stats {
  uint64_t tx_data_packets; /* packets with pieces of messages; on a loopback link, messages */
  uint64_t rx_data_packets;
  uint64_t tx_data_bytes;
  uint64_t rx_data_bytes;
  uint64_t rx_ping_packets; /* questions whether the other end is there */
  uint64_t tx_ping_packets;
  uint64_t rx_ping_bytes;
  uint64_t tx_ping_bytes;
  uint64_t rx_pong_packets; /* answers to them */
  uint64_t tx_pong_packets;
  uint64_t rx_pong_bytes;
  uint64_t tx_pong_bytes;
  uint64_t rx_pmtu_packets; /* path MTU probes and, only on the receiving side, answers to them */
  uint64_t tx_pmtu_packets;
  uint64_t rx_pmtu_bytes;
  uint64_t tx_pmtu_bytes;

  uint64_t tx_total_packets; /* sums over the four groups above, */
  uint64_t rx_total_packets;
  uint64_t tx_total_bytes;
  uint64_t rx_total_bytes;
  uint64_t tx_total_errors; /* and of the errors and retries below */
  uint64_t tx_total_retries;

  uint32_t tx_pmtu_errors;  /* packets the kernel refused */
  uint32_t tx_pmtu_retries; /* packets sent again because it was full */
  uint32_t tx_ping_errors;
  uint32_t tx_ping_retries;
  uint32_t tx_pong_errors;
  uint32_t tx_pong_retries;
  uint32_t tx_data_errors;
  uint32_t tx_data_retries;

  uint32_t latency_min; /* round trip of pings in microseconds; UINT32_MAX before the first */
  uint32_t latency_max;
  uint32_t latency_ave;     /* over the last samples, see knet_link_set_ping_timers */
  uint32_t latency_samples; /* number of samples in latency_ave */

  uint32_t down_count; /* times the link stopped being connected, */
  uint32_t up_count;   /* and became connected */

  time_t last_up_times[MAX_LINK_EVENTS];   /* seconds since 1970; a ring, 0 for no event */
  time_t last_down_times[MAX_LINK_EVENTS]; /* likewise */
  int8_t last_up_time_index;               /* the element that the next event will fill */
  int8_t last_down_time_index;             /* likewise */
};

/* State of a link. */
struct knet_link_status {
  size_t size; /* size of this structure in the library, in bytes */

  char src_ipaddr[KNET_MAX_HOST_LEN]; /* configured source */
  char src_port[KNET_MAX_PORT_LEN];
  char dst_ipaddr[KNET_MAX_HOST_LEN]; /* destination; on a dynamic link, as learned */
  char dst_port[KNET_MAX_PORT_LEN];
  uint8_t enabled;      /* 1: switched on with knet_link_set_enable */
  uint8_t connected;    /* 1: the peer answers */
  uint8_t dynconnected; /* 1: the link is dynamic and knows its peer */

  unsigned long long latency;  /* average round trip in microseconds, as stats.latency_ave */
  struct timespec pong_last;   /* CLOCK_MONOTONIC time of the last answer; zero for never */
  unsigned int mtu;            /* longest piece of a message per packet on this link, in bytes */
  unsigned int proto_overhead; /* headers in bytes; 0 before the first MTU search */

  struct knet_link_stats stats;
};

/*
 * Copies the state and counters of a link to *status: min(struct_size, the library's size) bytes,
 * never more. struct_size is sizeof(struct knet_link_status) as the caller knows it. Where it has
 * room for it, status->size tells the library's size; a struct_size below sizeof(size_t) stores
 * nothing at all.
 *
 *   EINVAL  there is no such host, or the link is not configured
 */
int knet_link_get_status(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id,
                         struct knet_link_status* status, size_t struct_size);

/* ----------------------------------------------------------------------------------------------- *
 * Logging
 *
 * Each log record is one write of exactly sizeof(struct knet_log_msg) bytes to the log descriptor,
 * which is a pipe as a rule; less than PIPE_BUF, so records never mix. A record is written if its
 * level is not above the level set for its subsystem. Logging never delays the handle: a record for
 * which there is no room, also in a blocking descriptor, is dropped; how many were is told by a
 * later record.
 * ---------------------------------------------------------------------------------------------- */

#define KNET_LOG_ERR 0   /* something does not work and needs help */
#define KNET_LOG_WARN 1  /* something is wrong, and dealt with */
#define KNET_LOG_INFO 2  /* changes of state: hosts and links up and down */
#define KNET_LOG_DEBUG 3 /* what a developer asks for */
#define KNET_LOG_TRACE 4 /* accepted by knet_log_set_loglevel; no record has it yet */

/* Size of the text of a record in bytes, with the closing NUL. */
#define KNET_MAX_LOG_MSG_SIZE 254
#if defined(PIPE_BUF) && KNET_MAX_LOG_MSG_SIZE > PIPE_BUF
#error KNET_MAX_LOG_MSG_SIZE must not exceed PIPE_BUF, or log records could be torn apart
#endif

/*
 * Subsystems: 0 to 19 for set-up, 20 to 39 for work, 40 to 59 transports, 60 to 69 encryption, from
 * 70 compression.
 */
#define KNET_MAX_SUBSYSTEMS UINT8_MAX
#define KNET_SUB_COMMON 0
#define KNET_SUB_HANDLE 1
#define KNET_SUB_HOST 2
#define KNET_SUB_LISTENER 3
#define KNET_SUB_LINK 4
#define KNET_SUB_TRANSPORT 5
#define KNET_SUB_CRYPTO 6
#define KNET_SUB_COMPRESS 7
#define KNET_SUB_FILTER 19 /* for the application's own filter; the library does not use it */
#define KNET_SUB_DSTCACHE 20
#define KNET_SUB_HEARTBEAT 21
#define KNET_SUB_PMTUD 22
#define KNET_SUB_TX 23
#define KNET_SUB_RX 24
#define KNET_SUB_TRANSP_BASE 40
#define KNET_SUB_TRANSP_LOOPBACK (KNET_SUB_TRANSP_BASE + KNET_TRANSPORT_LOOPBACK)
#define KNET_SUB_TRANSP_UDP (KNET_SUB_TRANSP_BASE + KNET_TRANSPORT_UDP)
#define KNET_SUB_TRANSP_SCTP (KNET_SUB_TRANSP_BASE + KNET_TRANSPORT_SCTP)
#define KNET_SUB_NSSCRYPTO 60
#define KNET_SUB_OPENSSLCRYPTO 61
#define KNET_SUB_ZLIBCOMP 70
#define KNET_SUB_LZ4COMP 71
#define KNET_SUB_LZ4HCCOMP 72
#define KNET_SUB_LZO2COMP 73
#define KNET_SUB_LZMACOMP 74
#define KNET_SUB_BZIP2COMP 75
#define KNET_SUB_ZSTDCOMP 76
#define KNET_SUB_UNKNOWN (UINT8_MAX - 1)

/* One log record as read from the log descriptor. */
struct knet_log_msg {
  char msg[KNET_MAX_LOG_MSG_SIZE]; /* the text, without a newline; NUL to its end */
  uint8_t subsystem;               /* KNET_SUB_... */
  uint8_t msglevel;                /* KNET_LOG_... */
};

/*
 * Converters between the numbers and names of subsystems and log levels. They take no handle. Names
 * are compared without regard to case. On a hit errno is 0; a miss leaves errno as it was and gives
 * "unknown", KNET_SUB_UNKNOWN, "ERROR" and KNET_LOG_ERR respectively. A NULL name is a miss.
 */
const char* knet_log_get_subsystem_name(uint8_t subsystem);
uint8_t knet_log_get_subsystem_id(const char* name);
const char* knet_log_get_loglevel_name(uint8_t level);
uint8_t knet_log_get_loglevel_id(const char* name);

/*
 * Sets the log level of a subsystem: it and all lower numbers are written.
 *
 *   EINVAL  there is no such subsystem
 *   EINVAL  level is above KNET_LOG_TRACE
 */
int knet_log_set_loglevel(knet_handle_t knet_h, uint8_t subsystem, uint8_t level);

/*
 * Stores the log level of a subsystem in *level; 0 for all of them on a handle without a log
 * descriptor, unless set.
 *
 *   EINVAL  there is no such subsystem
 */
int knet_log_get_loglevel(knet_handle_t knet_h, uint8_t subsystem, uint8_t* level);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif /* __LIBKNET_H__ */
/* NOLINTEND(modernize-*,bugprone-reserved-identifier) */

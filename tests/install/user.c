// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The smallest program that uses the library for real: a message to itself over a loopback link.
#include <libknet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static int failed(const char* call) {
  perror(call);
  return 1;
}

static void on_datafd(void* context, int datafd, int8_t channel, uint8_t tx_rx, int error,
                      int number) {
  (void)context;
  fprintf(stderr, "datafd %d, channel %d, %u: %d (%s)\n", datafd, channel, tx_rx, error,
          strerror(number));
}

int main(void) {
  knet_handle_t handle = knet_handle_new_ex(1, 0, KNET_LOG_ERR, 0);
  struct sockaddr_storage address;
  int datafd = 0;
  int8_t channel = 0;
  struct pollfd waiting = {.events = POLLIN};
  char message[16] = "";
  if (handle == NULL) {
    return failed("knet_handle_new_ex");
  }
  memset(&address, 0, sizeof(address));
  if (knet_handle_enable_sock_notify(handle, NULL, on_datafd) != 0 ||
      knet_host_add(handle, 1) != 0 || knet_handle_add_datafd(handle, &datafd, &channel) != 0 ||
      knet_strtoaddr("127.0.0.1", "5405", &address, sizeof(address)) != 0 ||
      knet_link_set_config(handle, 1, 0, KNET_TRANSPORT_LOOPBACK, &address, &address, 0) != 0 ||
      knet_link_set_enable(handle, 1, 0, 1) != 0 || knet_handle_setfwd(handle, 1) != 0) {
    return failed("set-up");
  }
  if (knet_send(handle, "hello", 6, channel) != 6) {
    return failed("knet_send");
  }
  waiting.fd = datafd;
  if (poll(&waiting, 1, 10000) != 1 || recv(datafd, message, sizeof(message), 0) != 6 ||
      strcmp(message, "hello") != 0) {
    return failed("message");
  }
  if (knet_link_set_enable(handle, 1, 0, 0) != 0 || knet_link_clear_config(handle, 1, 0) != 0 ||
      knet_host_remove(handle, 1) != 0 || knet_handle_free(handle) != 0) {
    return failed("tear-down");
  }
  return 0;
}

# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A clean Debian 12 that knows nothing of the project: what tools/dev needs it installs itself, exactly as on a
# developer's machine. The image holds the installed packages and the two builds; running it runs the tests.
#
#   docker build -t ringknet .
#   docker run --rm --privileged ringknet                      # tools/dev test
#   docker run --rm --privileged ringknet tools/dev bench      # tools/dev bench
#
# --privileged because the tests make network namespaces of their own, and because the default seccomp profile of
# container engines forbids io_uring.
FROM debian:12

WORKDIR /src
COPY . .
RUN tools/dev build debug && tools/dev build release

CMD ["tools/dev", "test"]

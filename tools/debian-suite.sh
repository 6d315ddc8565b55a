# SPDX-License-Identifier: LGPL-2.1-or-later
#
# To be sourced: packages of a Debian suite that is not this machine's. apt gets sources, lists, cache and a package
# database of its own in a folder, so that the system's stay as they are; its apt.conf stays in force, as it may hold the
# way to the network. What is fetched is checked by apt with the distribution's own keyring.
#
#   open_suite FOLDER SUITE TYPE   TYPE is deb or deb-src; fails with $suite_error where it cannot be done
#   suite_apt ARGUMENTS...         apt-get within it

suite_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# The archive that this machine's own apt fetches Debian from, as its sources say, whatever form they have.
suite_archive() {
  apt-get indextargets 'Created-By: Packages' 'Component: main' --format '$(REPO_URI) $(RELEASE)' 2>/dev/null |
    awk -v own="$(. /etc/os-release && echo "${VERSION_CODENAME:-}")" '$2 == own { print $1; exit }'
}

suite_apt() {
  apt-get -q \
    -o Dir::Etc::SourceList="$suite_folder/debian.sources" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::State::Lists="$suite_folder/lists" -o Dir::State::status="$suite_folder/status" \
    -o Dir::Cache="$suite_folder/cache" \
    -o APT::Sandbox::User=root -o Acquire::Languages=none "$@"
}

open_suite() {
  suite_folder=$1
  suite_uri=$(suite_archive)
  [ -n "$suite_uri" ] || {
    suite_error="apt does not say where this system's Debian packages come from"
    return 1
  }
  [ -f "$suite_keyring" ] || {
    suite_error="$suite_keyring is missing (package debian-archive-keyring)"
    return 1
  }
  rm -rf "$suite_folder"
  mkdir -p "$suite_folder/lists/partial" "$suite_folder/cache/archives/partial"
  : >"$suite_folder/status"
  cat >"$suite_folder/debian.sources" <<SOURCES
Types: $3
URIs: $suite_uri
Suites: $2
Components: main
Signed-By: $suite_keyring
SOURCES
  suite_apt update >"$suite_folder/fetch.log" 2>&1 || {
    tail -n 5 "$suite_folder/fetch.log" >&2
    suite_error="the lists of $2 could not be fetched"
    return 1
  }
}

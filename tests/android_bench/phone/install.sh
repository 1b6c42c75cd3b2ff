#!/bin/sh
# Installs what the simulated phone of the tests needs, where it may: as root, on Debian or Ubuntu. Elsewhere it says so.
# It never fails: without these packages the tests are skipped, and say why.
set -u
packages="adb g++ qemu-user-static g++-aarch64-linux-gnu debian-archive-keyring"

say() { echo "simulated phone: $*"; }

is_installed() { [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

install_packages() {
  missing=
  for package in $packages; do is_installed "$package" || missing="$missing $package"; done
  [ -z "$missing" ] && return
  say "installing$missing"
  options="-o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o DPkg::Lock::Timeout=60"
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086  # lists of words
  apt-get $options -qq update > /dev/null
  for package in $missing; do  # one by one: what cannot be had must not keep the others away
    apt-get $options -qq --yes --no-install-recommends install "$package" > /dev/null 2>&1 ||
      say "could not install $package; tests that need it are skipped"
  done
}

# Lets the kernel start aarch64 programs through qemu; systemd does the same where it runs.
register_aarch64() {
  folder=/proc/sys/fs/binfmt_misc
  format=/usr/lib/binfmt.d/qemu-aarch64.conf
  [ "$(uname -m)" = x86_64 ] && [ -r $format ] && [ -d $folder ] || return
  [ -e $folder/register ] || mount -t binfmt_misc binfmt_misc $folder 2>/dev/null || return
  [ -e $folder/qemu-aarch64 ] && return
  { cat $format > $folder/register; } 2>/dev/null || say "cannot register qemu-aarch64 with the kernel"
}

if [ "$(id -u)" != 0 ]; then
  say "not root, nothing installed"
elif ! command -v apt-get > /dev/null || ! command -v dpkg-query > /dev/null; then
  say "neither Debian nor Ubuntu, nothing installed"
else
  install_packages
  register_aarch64
fi
exit 0

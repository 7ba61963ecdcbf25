#!/usr/bin/env bash
# Debian packages that PyPI does not carry: bubblewrap and openEMS to run, PostgreSQL, Chromium, csmith and QEMU to test,
# and LLVM, compilers, C libraries and emulators for targets of kind compile beside x86-64 Linux.
# Installs what is missing when it can; otherwise says exactly what to type. Usage: debian.sh run|test|targets
set -euo pipefail
what=${1:-run}

has_postgres() { command -v pg_ctl >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/pg_ctl' >/dev/null; }

missing=()
command -v bwrap >/dev/null || missing+=(bubblewrap)
command -v "${TRIMTAB_OPENEMS:-openEMS}" >/dev/null || missing+=(openems)
if [ "$what" = test ]; then
  has_postgres || missing+=(postgresql)
  command -v chromium >/dev/null || missing+=(chromium)
  command -v chromedriver >/dev/null || missing+=(chromium-driver)
  command -v csmith >/dev/null || missing+=(csmith libcsmith-dev)
fi
if [ "$what" = test ] || [ "$what" = targets ]; then
  # RISC-V and AVR: LLVM's wheel has no code generator for them.
  [ -x /usr/lib/llvm-22/bin/llc ] || missing+=(llvm-22)
  command -v ld.lld-22 >/dev/null || missing+=(lld-22)
  # Programs without an operating system.
  command -v arm-none-eabi-gcc >/dev/null || missing+=(gcc-arm-none-eabi)
  [ -e /usr/lib/picolibc/arm-none-eabi/include/stdio.h ] || missing+=(picolibc-arm-none-eabi)
  [ -e /usr/include/newlib/newlib.h ] || missing+=(libnewlib-arm-none-eabi)
  command -v riscv64-unknown-elf-gcc >/dev/null || missing+=(gcc-riscv64-unknown-elf)
  [ -e /usr/lib/picolibc/riscv64-unknown-elf/include/stdio.h ] || missing+=(picolibc-riscv64-unknown-elf)
  # Programs of Linux on other processors.
  [ -e /usr/lib32/crt1.o ] || missing+=(libc6-dev-i386 lib32gcc-12-dev)
  [ -e /usr/aarch64-linux-gnu/lib/crt1.o ] || missing+=(libc6-dev-arm64-cross libgcc-12-dev-arm64-cross)
  [ -e /usr/arm-linux-gnueabihf/lib/crt1.o ] || missing+=(libc6-dev-armhf-cross libgcc-12-dev-armhf-cross)
  [ -e /usr/riscv64-linux-gnu/lib/crt1.o ] || missing+=(libc6-dev-riscv64-cross libgcc-12-dev-riscv64-cross)
  # And what runs them.
  command -v qemu-arm >/dev/null || missing+=(qemu-user)
  command -v qemu-system-arm >/dev/null || missing+=(qemu-system-arm)
  command -v qemu-system-riscv32 >/dev/null || missing+=(qemu-system-misc)
fi
[ ${#missing[@]} -eq 0 ] && exit 0

if command -v apt-get >/dev/null; then
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then as_root=(sudo -n); else as_root=(false); fi
  fi
  if [ "${as_root[0]:-}" != false ]; then
    echo "trimtab setup: installing ${missing[*]} with apt-get" >&2
    # A package's own service must not start: tests start PostgreSQL themselves.
    "${as_root[@]}" apt-get update -qq >&2 || true
    install() {
      "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install -y -qq --no-install-recommends "$@" >/dev/null
    }
    install "${missing[@]}" && exit 0
    # One by one: a release without one of them still gets the others.
    failed=()
    for package in "${missing[@]}"; do
      install "$package" || failed+=("$package")
    done
    [ ${#failed[@]} -eq 0 ] && exit 0
    missing=("${failed[@]}")
    echo "trimtab setup: apt-get could not install ${missing[*]}" >&2
  fi
fi

cat >&2 <<TEXT
trimtab setup: these programs are missing: ${missing[*]}
  Debian or Ubuntu:  sudo apt-get install --no-install-recommends ${missing[*]}
  Without bubblewrap, runs are isolated by rlimits alone (see trimtab doctor). Without openEMS, designs of kind antenna
  are not checked by a second solver. Without PostgreSQL, Chromium, csmith or QEMU, their tests are skipped.
  Without llvm-22 there is no RISC-V; without a gcc and picolibc, no C library for firmware; without QEMU, programs of
  other processors are not run, and their answers are labelled unvalidated. llvm-22 and lld-22 are in Debian from 13 on;
  for Debian 12 they are packaged by the LLVM project.
TEXT
# Running works without them. Tests say themselves what they skip, and under CI they fail.
exit 0

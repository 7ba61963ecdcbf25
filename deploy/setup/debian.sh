#!/usr/bin/env bash
# Debian packages that PyPI does not carry: bubblewrap and openEMS to run, PostgreSQL, Chromium, csmith and QEMU to test.
# Installs what is missing when it can; otherwise says exactly what to type. Usage: debian.sh run|test
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
  command -v qemu-arm >/dev/null || missing+=(qemu-user)
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
TEXT
# Running works without them. Tests say themselves what they skip, and under CI they fail.
exit 0

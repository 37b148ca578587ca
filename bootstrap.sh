#!/usr/bin/env bash
# Makes .venv with everything pinned in requirements/ and the members of this workspace. Needs Python >= 3.11 and a
# package registry, nothing else. Called by make; quick when nothing has changed.
# Arguments, for another environment than that of development: its folder, and its file in requirements/.
set -euo pipefail
cd "$(dirname "$0")"
python=${PYTHON:-python3}
venv=${1:-.venv}
pins=${2:-dev}

die() { printf 'waybill: %s\n' "$*" >&2; exit 1; }

command -v "$python" >/dev/null || die "no $python found: install Python 3.11 or newer, or name one: make PYTHON=/path/to/python"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  die "$("$python" --version) is too old: Waybill needs Python 3.11 or newer (make PYTHON=/path/to/python)"

make_venv() { rm -rf "$venv" && "$python" -m venv "$venv" >/dev/null 2>&1; }
if [[ ! -x $venv/bin/python ]] || ! "$venv/bin/python" -c '' 2>/dev/null; then
  echo "waybill: making $venv"
  if ! make_venv; then
    # Debian ships Python without ensurepip; its python3-venv brings it.
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
      echo "waybill: installing python3-venv"
      { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv; } >/dev/null 2>&1 ||
        die "could not install python3-venv: apt-get install python3-venv says why"
      make_venv || die "$python -m venv $venv fails even with python3-venv installed: run it to see why"
    else
      die "$python cannot make virtual environments: install its venv module (Debian, Ubuntu: apt-get install python3-venv)"
    fi
  fi
fi

# uv reads no pip configuration: hand it pip's index where one is set, so that a company's mirror is honoured.
index=$("$venv/bin/python" -m pip config get global.index-url 2>/dev/null || true)
[[ -n $index && -z ${UV_DEFAULT_INDEX:-} ]] && export UV_DEFAULT_INDEX=$index

echo "waybill: installing the pinned versions"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
export VIRTUAL_ENV=$PWD/$venv
"$venv/bin/uv" pip sync --quiet --compile-bytecode --require-hashes requirements/uv.txt "requirements/$pins.txt"
members=()
for member in contracts database pictures worker ledger gateway services/* cli sdk deploy testkit devstack; do members+=(--editable "$member"); done
"$venv/bin/uv" pip install --quiet --no-deps "${members[@]}"

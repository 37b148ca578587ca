#!/usr/bin/env bash
# Renews every pin: one file for development, one for each deployable. The deployables are compiled under the
# development file as a constraint, so the versions that were tested are the versions that ship.
# Extra arguments go to uv, for example: requirements/lock.sh --upgrade
set -euo pipefail
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}

members=(contracts database pictures worker ledger gateway services/* cli sdk deploy testkit devstack)
deployables=(gateway services/* cli sdk deploy devstack)
own=() # our own members are installed from this tree, never from a registry
for member in "${members[@]}"; do
  own+=(--no-emit-package "$(sed -n 's/^name = "\(.*\)"/\1/p' "$member/pyproject.toml" | head -n 1)")
done
compile() {
  "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --no-annotate --custom-compile-command "make lock" "${own[@]}" "$@"
}

echo "uv" | compile - --output-file requirements/uv.txt "$@"
compile "${members[@]/%//pyproject.toml}" --extra traces --extra cli --group pyproject.toml:dev --output-file requirements/dev.txt "$@"
# What is compared runs on the same versions as what ships, where it has a part in common with it.
compile "${members[@]/%//pyproject.toml}" --extra traces --extra cli --group pyproject.toml:bench --constraint requirements/dev.txt \
  --output-file requirements/bench.txt "$@"
for deployable in "${deployables[@]}"; do
  # What runs a service can trace it: installed, and imported only where that is asked for.
  traced=()
  case $deployable in gateway | services/*) traced=(worker/pyproject.toml --extra traces) ;; esac
  # What authors of services install; `waybill` alone is for applications, and pins nothing.
  extras=()
  case $deployable in sdk) extras=(--extra service) ;; esac
  compile "$deployable/pyproject.toml" "${extras[@]}" "${traced[@]}" --constraint requirements/dev.txt \
    --output-file "requirements/$(basename "$deployable").txt"
done

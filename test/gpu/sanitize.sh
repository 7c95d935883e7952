#!/usr/bin/env bash
# memcheck and racecheck of compute-sanitizer over what a GPU runs: decoding, attention, products, one training step, and a sample of the conformance suite.
#   usage, in a folder with check.mjs (test/gpu/check.ts) and dist/gpu/flat.mjs (test/gpu/flat.ts):  test/gpu/sanitize.sh [SHARE [SECONDS]]
# every SHARE-th case of the suite (default 8), at most SECONDS for each run (default 60). What was compiled before is taken from the cache.
set -u
share=${1:-8} limit=${2:-60} check=${CHECK:-check.mjs} flat=${FLAT:-dist/gpu/flat.mjs}
tool=$(command -v compute-sanitizer || ls /usr/local/cuda*/bin/compute-sanitizer /usr/local/cuda*/compute-sanitizer/compute-sanitizer /opt/nvidia/*/compute-sanitizer 2>/dev/null | head -1)
[[ -n $tool ]] || { echo "compute-sanitizer is not on this machine"; exit 2; }
bad=0
run() { # NAME COMMAND...: once without it, so that everything is compiled, then under both tools
  local name=$1 log status; shift
  timeout "$limit" "$@" > /tmp/sanitize-plain.log 2>&1 || { echo "$name: fails without a sanitizer: $(tail -c 300 /tmp/sanitize-plain.log)"; bad=1; return; }
  for kind in memcheck racecheck; do
    log=/tmp/sanitize-$kind.log
    timeout "$limit" "$tool" --tool $kind --error-exitcode 99 --target-processes all --print-limit 3 "$@" > $log 2>&1; status=$?
    local found; found=$(grep -cE '^========= (Invalid|Error:|Warning: Race|Race|Program hit)' $log)
    echo "$kind $name: exit $status, $found reports; $(grep -E 'ran,|flat|GROWS' $log | tail -1 | cut -c1-150)"
    [[ $status -eq 0 && $found -eq 0 ]] || { bad=1; grep -E '^=========' $log | grep -v '^========= COMPUTE-SANITIZER' | head -12; }
  done
}
run decoding node "$check" decode 4
run "a token" node "$flat" decode 4 small
run "a training step" node "$flat" train 3 small
TREEPIE_SAMPLE=4 run attention node "$check" attention 6
TREEPIE_SAMPLE=30 run products node "$check" products 6
TREEPIE_SAMPLE=$share run conformance node "$check" conformance 12
exit $bad

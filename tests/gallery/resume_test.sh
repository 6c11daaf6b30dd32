#!/usr/bin/env bash
# Usage: resume_test.sh EXECUTABLE DATA [what to run, --all by default]
# A run that is killed at random moments and resumed ends with the report of an uninterrupted one, byte for byte.
set -euo pipefail

program=$(realpath "$1")
data=$(realpath "$2")
shift 2
wanted=("${@:---all}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

run() { # FOLDER OPTIONS...; the report counts here, not whether all is in band
    local folder=$1 status=0
    shift
    "$program" run "${wanted[@]}" --data "$data" --output "$folder" "$@" >"$folder.out" 2>"$folder.log" || status=$?
    ((status < 2)) || fail "status $status: $(cat "$folder.log")"
}

same() {
    diff -r "$1" "$2" || fail "$3"
}

start=$(date +%s%N)
run whole
milliseconds=$((($(date +%s%N) - start) / 1000000))
[[ -s whole/index.html && -s whole/measurements.csv && -s whole/summary.json ]] || fail "the report is not whole"

# What has its final name is whole.
whole_json='import json, os, sys; [json.load(open(file)) for file in sys.argv[1:] if os.path.exists(file)]'

RANDOM=1
kept=0
for round in 1 2 3; do
    longest=$milliseconds
    for ((kills = 0; kills < 5;)); do
        "$program" run "${wanted[@]}" --data "$data" --output killed --threads 2 --resume >/dev/null 2>killed.log &
        child=$!
        pause=$((RANDOM * longest / 32768)) # anywhere in a run
        sleep "$(printf '%d.%03d' $((pause / 1000)) $((pause % 1000)))"
        if kill -KILL "$child" 2>/dev/null; then
            kills=$((kills + 1))
        else
            longest=$((longest * 2 / 3)) # it had ended: what is left to do takes less time than a whole run
        fi
        wait "$child" 2>/dev/null || true
        python3 - killed/results/*.json <<<"$whole_json" || fail "a result was left half-written"
    done
    run killed --threads 2 --resume
    if grep -q 'stored already' killed.log; then kept=$((kept + 1)); fi
    same whole killed "round $round: the resumed report differs"
    rm -r killed
done
((kept >= 1)) || fail "no resumed run found a stored result"

run threads --threads 1
same whole threads "another number of threads gives another report"
run again --quick
run again --resume
same whole again "results of --quick were taken for those of a whole run"

stored=(whole/results/*.json)
cp -r whole damaged
head -c 100 "${stored[0]}" >"damaged/results/$(basename "${stored[0]}")"
echo leftover >"damaged/results/$(basename "${stored[0]}" .json).json.partial"
run damaged --resume
same whole damaged "a damaged result was not computed anew"

mkfifo held
(
    flock 9
    echo locked >held
    exec sleep 60
) 9>whole/.lock &
holder=$!
read -r _ <held
status=0
"$program" run "${wanted[@]}" --data "$data" --output whole 2>busy.log || status=$?
kill "$holder"
[[ $status == 2 && $(<busy.log) == *'another run is writing'* ]] || fail "two runs at once on one folder: status $status"

echo "resume: 15 runs killed, all reports alike"

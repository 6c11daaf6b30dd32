#!/usr/bin/env bash
# Usage: errors_test.sh EXECUTABLE DATA
# What the program refuses: status 2, a message that says where and why, nothing on standard output, no folder touched.
# EXECUTABLE holds the experiments of resume_experiments.cpp.
set -euo pipefail

program=$(realpath "$1")
data=$(realpath "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cases=0

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# refused MESSAGE ARGUMENTS...: the message is a part of what standard error shows
refused() {
    local message=$1 status=0 before after
    shift
    before=$(find . | sort)
    "$program" "$@" >../"${work##*/}.out" 2>../"${work##*/}.err" || status=$?
    after=$(find . | sort)
    [[ $status == 2 ]] || fail "'$*' ends with status $status, expected 2"
    grep -qF -- "$message" "../${work##*/}.err" || fail "'$*' says '$(cat "../${work##*/}.err")', expected '$message'"
    [[ ! -s ../${work##*/}.out ]] || fail "'$*' writes to standard output: $(cat "../${work##*/}.out")"
    [[ $before == "$after" ]] || fail "'$*' touches files: $(diff <(echo "$before") <(echo "$after"))"
    rm -f "../${work##*/}.out" "../${work##*/}.err"
    cases=$((cases + 1))
}

printf '# NUMBER ALTERNATIVES: 3\n2: 1,2,x\n' >letter.soc
printf '# NUMBER ALTERNATIVES: 3\n# NUMBER VOTERS: 9\n2: 1,2,3\n' >short.soc
printf '# NUMBER ALTERNATIVES: 3\n2: 1,{2,3}\n' >tie.soc
printf 'a,b\n1,2\n3,many\n' >word.csv
printf 'a,b\n1,2\n3\n' >ragged.csv
printf 'a,b\n1,2\n' >good.csv
echo file >occupied

refused "letter.soc:2:8: alternative 'x' is not a whole number" --preflib letter.soc
refused "short.soc:2:18: NUMBER VOTERS is 9, but the orders count 2" --preflib short.soc
refused "tie.soc:2:6: a tie in a file of strict orders" --preflib tie.soc
refused "cannot read 'nowhere.soc': No such file or directory" --preflib nowhere.soc
refused "cannot read '.': it is a folder" --preflib .
refused "word.csv:3:3: column 'b': 'many' is not a finite number" --csv word.csv --target a
refused "ragged.csv:3:2: the line ends before column 'b'" --csv ragged.csv --target a
refused "good.csv:1:1: unknown column 'c'; the columns are: a, b" --csv good.csv --target c
refused "cannot read 'nowhere.csv': No such file or directory" --csv nowhere.csv --target a
refused "--target" --csv good.csv
refused "--csv" --target a
refused "--csv" --csv good.csv --target a --preflib tie.soc
refused "stand alone" --preflib tie.soc list

refused "Usage" # without a command
refused "walk" walk
refused "--loud" list --loud
refused "run what?" run --data "$data" --output out
refused "either names or --all" run tame --all --data "$data" --output out
refused "unknown method or experiment 'tam'; the methods are: tame, wild" run tam --data "$data" --output out
refused "--seeds" run tame --seeds 0 --data "$data" --output out
refused "--seeds" run tame --seeds many --data "$data" --output out
refused "--threads" run tame --threads -1 --data "$data" --output out
refused "there is no folder 'nodata'" run tame --data nodata --output out
refused "cannot write to 'occupied'" run tame --data "$data" --output occupied
path=$PATH
hidden=$(mktemp -d)
for tool in find sort grep diff rm cat; do ln -s "$(command -v "$tool")" "$hidden/$tool"; done
PATH=$hidden
refused "apt-get install gnuplot-nox" run tame --data "$data" --output out
PATH=$path
rm -r "$hidden"

# What is accepted keeps its own statuses.
status=0
"$program" run tame --quick --data "$data" --output out >/dev/null 2>&1 || status=$?
[[ $status == 0 ]] || fail "all in band, but status $status"
for bad in wild-outside wild-failing; do
    status=0
    "$program" run "$bad" tame-1 --quick --json --data "$data" --output "$bad" >"$bad.json" 2>/dev/null || status=$?
    [[ $status == 1 ]] || fail "$bad: status $status, expected 1"
    cmp "$bad.json" "$bad/summary.json" || fail "--json prints something else than summary.json"
    python3 -m json.tool "$bad.json" >/dev/null
done
grep -q '&lt;i&gt;no luck' wild-failing/index.html || fail "the failure is not in the report, or not escaped"
grep -q '"status": "in band"' wild-failing.json || fail "after a failure the others do not go on"

echo "errors: $cases refused"

#!/bin/sh
# ecsx-@NAME@: run by `ecsx @NAME@`. The contract it keeps is ecsx' docs/plugins.md.
set -eu

version=0.1.0
summary='Say which task would be taken'

usage() {
    cat <<USAGE
$summary

Usage: ecsx @NAME@ [OPTIONS]

Options:
      --format FORMAT  json or env
      --cluster, --service, --profile, --region, --config, -C, -v, -q, --color: as in ecsx help
  -h, --help           Show this help
      --version        Show the version
USAGE
}

refuse() {
    echo "error: $1" >&2
    echo "hint: ecsx @NAME@ --help" >&2
    exit 2
}

# The options of ecsx mean the same after the name as before it: there they become environment.
take() {
    case $1 in
    --cluster) export ECSX_CLUSTER="$2" ;;
    --service) export ECSX_SERVICE="$2" ;;
    --profile) export ECSX_PROFILE="$2" AWS_PROFILE="$2" ;;
    --region) export ECSX_REGION="$2" AWS_REGION="$2" ;;
    --config) export ECSX_CONFIG="$2" ;;
    --color) export ECSX_COLOR="$2" ;;
    -C) cd "$2" ;;
    esac
}

# What ecsx asks of a plugin. It never does the plugin's work here.
case ${1-} in
__ecsx)
    [ "${2-}" = describe ] || exit 2
    printf '{"schema":1,"name":"@NAME@","version":"%s","summary":"%s","protocol":[1],"complete":true}\n' \
        "$version" "$summary"
    exit
    ;;
__complete)
    shift
    # Words before the cursor, then the word at the cursor.
    previous= current=
    for word; do
        take "$previous" "$current"
        previous=$current current=$word
    done
    case $previous in
    # ecsx knows its own values: ask it, as the shell would. Its answer is ours.
    --cluster | --service | --profile | --region | --config)
        exec "${ECSX_BIN:-ecsx}" __complete target "$previous" "$current"
        ;;
    esac
    case $previous in
    --format) printf 'json\tAll of it\nenv\tFor eval in sh\n' ;;
    *) printf -- '--format\tjson or env\n--help\tShow the help\n--version\tShow the version\n' ;;
    esac | while read -r candidate; do
        case $candidate in "$current"*) printf '%s\n' "$candidate" ;; esac
    done
    echo :4
    exit
    ;;
esac

format=json
while [ $# -gt 0 ]; do
    case $1 in
    --*=*)
        option=${1%%=*} value=${1#*=}
        shift
        set -- "$option" "$value" "$@"
        ;;
    esac
    case $1 in
    -v | --verbose) export ECSX_VERBOSE=1 && shift ;;
    -q | --quiet) export ECSX_QUIET=1 && shift ;;
    -h | --help) usage && exit ;;
    --version) echo "ecsx-@NAME@ $version" && exit ;;
    --format | --cluster | --service | --profile | --region | --config | --color | -C)
        [ $# -ge 2 ] || refuse "$1 needs a value"
        case $1 in
        --format) format=$2 ;;
        *) take "$1" "$2" ;;
        esac
        shift 2
        ;;
    *) refuse "unknown argument $1" ;;
    esac
done

# The work: ecsx resolves cluster, service, task and container.
exec "${ECSX_BIN:-ecsx}" target -o "$format"

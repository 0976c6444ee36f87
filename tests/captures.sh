#!/usr/bin/env bash
# Wireshark's dissectors over the captures that `netstack sim` writes: no malformed packet, no wrong checksum.
#
#   tests/captures.sh           builds the command, installs tshark if it is missing (Debian, as root), and runs it all
#
# NETSTACK=PATH takes a command that is built already. It prints a line for each capture; the exit status is 0 if all are in order.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
fail() { echo "FAILED: $*" >&2; exit 1; }

if ! command -v tshark >/dev/null; then
    echo "installing tshark"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends tshark >/dev/null \
        || fail "cannot install tshark: as root run apt-get update, or install it in another way"
fi
. "$root/tests/netstack-command.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What Wireshark calls malformed, and what it would call so of a header.
readonly WRONG='_ws.malformed || _ws.expert.severity == error || ip.checksum.status == bad || tcp.checksum.status == bad'

check() {
    local name=$1; shift
    "$netstack" sim --quiet --plot "$work/$name" "$@" >/dev/null || fail "$name: netstack sim $*"
    local capture=$work/$name/trace.pcapng options packets wrong interfaces
    options=(-o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE -r "$capture")
    packets=$(tshark "${options[@]}" -Y tcp 2>/dev/null | wc -l)
    wrong=$(tshark "${options[@]}" -Y "$WRONG" 2>/dev/null | wc -l)
    interfaces=$(tshark "${options[@]}" -T fields -e frame.interface_name 2>/dev/null | sort -u | tr '\n' ' ')
    [ "$packets" -gt 100 ] || fail "$name: tshark finds only $packets segments"
    [ "$interfaces" = "ACKs data " ] || fail "$name: interfaces are '$interfaces', not one for each direction"
    if [ "$wrong" != 0 ]; then
        tshark "${options[@]}" -Y "$WRONG" 2>/dev/null | head >&2
        fail "$name: $wrong of $packets packets are not in order"
    fi
    echo "ok: $name, $packets segments"
}

check plain --bytes 1MB
check lossy --bytes 1MB --loss 2% --seed 7
check six -6 --bytes 500kb --loss 1%
check marked --bytes 1MB --mark-above 20kb
check crossed --bytes 500kb --reorder 5% --duplicate 2% --jitter 3ms
check many --flows 5 --bytes 200kb --cc newreno
check paced --bytes 1MB --cc bbr --loss 1%

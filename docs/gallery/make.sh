#!/usr/bin/env bash
# Draws the pictures of docs/gallery.md anew.
#
#   docs/gallery/make.sh        builds the command and draws them into docs/gallery
#
# The same command draws the same octets: what `git diff` shows afterwards is what a change of the code did to a picture.
# NETSTACK=PATH takes a command that is built already.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/tests/netstack-command.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$root/docs/gallery"

for scene in handshake teardown simultaneous-open simultaneous-close lost-syn old-duplicate-syn time-wait half-close tcp-vs-udp; do
    "$netstack" demo "$scene" --no-wait --svg "$scene.svg" >/dev/null
done

"$netstack" demo tcp-vs-udp --no-wait --trace "$work/messages.jsonl" >/dev/null
"$netstack" ladder "$work/messages.jsonl" --segments 36 --title "Small messages over a link that loses" -o messages.svg

"$netstack" sim --quiet --rate 10mbit --delay 20ms --loss 1% --bytes 200kb --seed 3 --plot "$work/lossy" >/dev/null
cp "$work"/lossy/{ladder,time-sequence,states-client,states-server}.svg .

"$netstack" sim --quiet --rate 10mbit --delay 20ms --queue 100kb --bytes 6mb --cc cubic --plot "$work/cubic" >/dev/null
cp "$work/cubic/windows.svg" .

"$netstack" sim --quiet --rate 20mbit --delay 15ms --flows 3 --bytes 4mb --plot "$work/three" >/dev/null
cp "$work"/three/{throughput,queue}.svg .

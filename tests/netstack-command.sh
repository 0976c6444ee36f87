# Sourced by scripts that run the `netstack` command: sets `netstack` to it, and builds it unless NETSTACK names one.
# `root` is the folder of the workspace.
# shellcheck shell=bash
netstack=${NETSTACK:-}
if [ -z "$netstack" ]; then
    (cd "$root" && cargo build --release --locked -p netstack-cli)
    target=$(cd "$root" && cargo metadata --format-version 1 --no-deps --locked | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
    netstack=$target/release/netstack
fi

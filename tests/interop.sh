#!/usr/bin/env bash
# The examples against curl, nginx and iperf3 on the kernel's side, in network namespaces that this script makes.
#
#   tests/interop.sh            builds the examples, installs what is missing (Debian, as root), and runs it all
#   tests/interop.sh NAME ...   runs these alone: server, client, forward, load
#
# It prints a line for each check; the exit status is 0 if all held.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
readonly TUN=nst0 STACK4=192.0.2.2 STACK6=2001:db8::2 KERNEL4=192.0.2.1 KERNEL6=2001:db8::1
# The servers behind the forwarder, and the link to them that is its own.
readonly FAR4=198.51.100.10 FAR6=2001:db8:1::10 NEAR_LINK4=203.0.113.1 FAR_LINK4=203.0.113.2
readonly NEAR_LINK6=2001:db8:2::1 FAR_LINK6=2001:db8:2::2
readonly BYTES=100000000

fail() { echo "FAILED: $*" >&2; exit 1; }
passed() { echo "ok: $*"; }

install_missing() {
    local missing=() pair
    for pair in curl:curl nginx:nginx iperf3:iperf3 ip:iproute2; do
        PATH=$PATH:/usr/sbin command -v "${pair%:*}" >/dev/null || missing+=("${pair#*:}")
    done
    [ ${#missing[@]} -eq 0 ] && return
    echo "installing ${missing[*]}"
    apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null \
        || fail "cannot install ${missing[*]}: as root run apt-get update, or install them in another way"
}

if [ -z "${NETSTACK_INTEROP:-}" ]; then
    install_missing
    (cd "$root" && cargo build --release --locked -p netstack-examples --examples)
    target=$(cd "$root" && cargo metadata --format-version 1 --no-deps --locked | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
    # With a PID namespace nothing outlives the script. A user namespace where this is not root.
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(--user --map-root-user)
    export NETSTACK_INTEROP=$target/release/examples
    exec unshare "${as_root[@]}" --net --mount --pid --fork --mount-proc --kill-child "$0" "$@"
fi

examples=$NETSTACK_INTEROP
PATH=$PATH:/usr/sbin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ip link set lo up
ulimit -n 4096

# Waits until a command succeeds.
await() {
    local tries
    for tries in $(seq 100); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.1
    done
    fail "not within 10 s: $*"
}

# Starts an example on the TUN device, and waits until it is ready.
start() {
    "$examples/$1" --tun $TUN --addr $STACK4/24 --addr6 $STACK6/64 --host-addr $KERNEL4/24 --host-addr6 $KERNEL6/64 \
        "${@:2}" 2>"$work/$1.log" &
    example=$!
    await grep -q ready: "$work/$1.log"
}

stop() {
    kill "$example"
    wait "$example" || fail "the example ended with $?"
}

get() { curl --silent --show-error --fail --globoff --noproxy '*' --max-time 60 "$@"; }
sum() { sha256sum | cut -d' ' -f1; }

# nginx with a file of BYTES bytes, in the foreground, in the namespace of the process that calls it.
nginx_on() {
    mkdir -p "$work/www" "$work/nginx"
    [ -e "$work/www/file" ] || head -c $BYTES /dev/urandom >"$work/www/file"
    chmod -R a+rX "$work"
    cat >"$work/nginx/nginx.conf" <<CONF
pid $work/nginx/pid;
error_log $work/nginx/error.log;
daemon off;
user $(id -un);
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path $work/nginx/body; proxy_temp_path $work/nginx/proxy; fastcgi_temp_path $work/nginx/fastcgi;
    uwsgi_temp_path $work/nginx/uwsgi; scgi_temp_path $work/nginx/scgi;
    server { listen 80; listen [::]:80; root $work/www; }
}
CONF
    exec nginx -e "$work/nginx/error.log" -c "$work/nginx/nginx.conf"
}

# curl fetches from axum on the stack.
server() {
    start http
    for host in $STACK4 "[$STACK6]"; do
        get "http://$host/" | grep -q '^Hello ' || fail "curl http://$host/"
        first=$(get "http://$host/bytes/$BYTES" | sum)
        second=$(get "http://$host/bytes/$BYTES" | sum)
        [ "$first" = "$second" ] || fail "two downloads from $host differ"
        told=$(get "http://$host/bytes/$BYTES" | get -X POST -T - "http://$host/sha256")
        [ "$told" = "$first" ] || fail "the upload to $host arrived as $told, not $first"
        passed "curl fetches $BYTES bytes from axum at $host and uploads them"
    done
    curl --silent --show-error --fail --noproxy '*' --parallel --parallel-immediate --parallel-max 50 --no-progress-meter \
        "http://$STACK4/bytes/[1000000-1000099]" >"$work/many"
    [ "$(stat -c %s "$work/many")" = 100004950 ] || fail "100 parallel fetches came to $(stat -c %s "$work/many") bytes"
    passed "curl fetches 100 files in parallel"
    stop
}

# hyper on the stack fetches from nginx.
client() {
    nginx_on & local nginx=$!
    await get -o /dev/null "http://127.0.0.1/file"
    expected=$(sum <"$work/www/file")
    for host in $KERNEL4 "[$KERNEL6]"; do
        told=$("$examples/http" --tun $TUN --addr $STACK4/24 --addr6 $STACK6/64 --host-addr $KERNEL4/24 \
            --host-addr6 $KERNEL6/64 --get "http://$host/file")
        [ "$told" = "200 $BYTES $expected" ] || fail "http --get http://$host/file: $told"
        passed "hyper on the stack fetches $BYTES bytes from nginx at $host"
    done
    kill $nginx && wait $nginx
}

# What the kernel's programs send into the device is dialled over another link, at whose end the servers are.
forward() {
    unshare --net sleep infinity & local far=$!
    await test "$(readlink /proc/self/ns/net)" != "$(readlink /proc/$far/ns/net)"
    local over="nsenter --net --target $far"
    ip link add near type veth peer name far netns $far
    $over ip link set lo up
    $over ip addr add $FAR4/32 dev lo
    $over ip addr add $FAR6/128 dev lo
    $over ip addr add $FAR_LINK4/24 dev far
    $over ip addr add $FAR_LINK6/64 dev far nodad
    $over ip link set far up
    ip addr add $NEAR_LINK4/24 dev near
    ip addr add $NEAR_LINK6/64 dev near nodad
    ip link set near up
    start proxy --interface near
    # The forwarder's sockets are bound to `near`; all others follow the route of the lower metric, into the device.
    ip route add $FAR4/32 via $FAR_LINK4 dev near metric 200
    ip -6 route add $FAR6/128 via $FAR_LINK6 dev near metric 2000
    ip route add $FAR4/32 dev $TUN src $KERNEL4 metric 100
    ip -6 route add $FAR6/128 dev $TUN src $KERNEL6 metric 100
    export -f nginx_on
    export work BYTES
    $over bash -c nginx_on & local nginx=$!
    await get -o /dev/null --range 0-1 "http://$FAR4/file"
    expected=$(sum <"$work/www/file")
    for host in $FAR4 "[$FAR6]"; do
        [ "$(get "http://$host/file" | sum)" = "$expected" ] || fail "curl http://$host/file through the forwarder"
        passed "curl fetches $BYTES bytes from nginx at $host through the forwarder"
        local status=0
        get "http://$host:81/" 2>/dev/null || status=$?
        [ $status = 7 ] || fail "a closed port of $host gives curl's status $status, not 7 (refused)"
        passed "a closed port of $host is refused"
    done
    for options in "-n 500M" "-n 500M -R" "-n 200M -P 8" "-n 200M -6" \
        "-u -b 100M -n 50M" "-u -b 100M -n 50M -R" "-u -b 20M -P 4 -n 10M" "-u -b 100M -n 50M -6"; do
        local to=$FAR4
        [ "${options%-6}" = "$options" ] || to=$FAR6
        # Bound: a server of datagrams that is not answers from the address of the link, which nobody has written to.
        rm -f "$work/iperf-server"
        $over iperf3 --server --one-off --forceflush --bind $to >"$work/iperf-server" 2>&1 & local iperf=$!
        await grep -q listening "$work/iperf-server"
        # shellcheck disable=SC2086
        iperf3 --client $to $options >"$work/iperf" 2>&1 || { cat "$work/iperf" "$work/iperf-server"; fail "iperf3 $options"; }
        passed "iperf3 $options: $(awk '/receiver/ { line = $0 } END { print line }' "$work/iperf" | tr -s ' ')"
        wait $iperf || fail "the server of iperf3 $options"
    done
    kill $nginx && wait $nginx
    stop
    kill $far
}

# The example's own demonstration in full: 64 downloads of 100 MB.
load() {
    "$examples/proxy" --downloads 64 --bytes $BYTES | tee "$work/load"
    grep -q 'every SHA-256 is that of what was sent$' "$work/load" || fail "examples/proxy"
    passed "64 downloads of $BYTES bytes at the same time"
}

for part in "${@:-server client forward load}"; do
    for name in $part; do
        "$name"
    done
done
echo "all held"

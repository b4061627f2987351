#!/bin/sh
# Run a command beside a throw-away PostgreSQL server: with_postgres.sh COMMAND [ARGUMENT...]
# The server lies in a folder of its own and listens on a Unix socket there alone. The command finds its connection string
# in LPX_TEST_POSTGRES_URL (its user may do everything); the server and the folder are gone when the command ends.
# Exit status: the command's; 77 ("skipped") when this machine has no PostgreSQL server.
set -u

[ $# -gt 0 ] || { echo "usage: with_postgres.sh COMMAND [ARGUMENT...]" >&2; exit 2; }

bin=
for folder in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV) $(dirname "$(command -v initdb || echo /none/initdb)"); do
    if [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ]; then
        bin=$folder
        break
    fi
done
if [ -z "$bin" ]; then
    echo "skipped: no PostgreSQL server here (Debian: apt-get install postgresql)" >&2
    exit 77
fi

# The server refuses to run as root. It ends with this script, even when the script is killed.
as="setpriv --pdeathsig INT --"
if [ "$(id -u)" = 0 ]; then
    user=nobody
    getent passwd postgres >/dev/null && user=postgres
    as="setpriv --reuid=$user --regid=$(id -g "$user") --clear-groups --pdeathsig INT --"
fi

# The path of a socket has at most 107 bytes: not in a deep TMPDIR.
dir=$(mktemp -d /tmp/lpx-pg.XXXXXX) || exit 1
chmod 0711 "$dir"
[ "$(id -u)" != 0 ] || chown "$user" "$dir"
server=
child=

stop() {
    trap - EXIT INT TERM HUP
    [ -z "$child" ] || { kill -TERM "$child" && wait "$child"; } 2>/dev/null
    [ -z "$server" ] || { kill -QUIT "$server" && wait "$server"; } 2>/dev/null
    rm -rf "$dir"
}
trap stop EXIT
trap 'stop; exit 130' INT
trap 'stop; exit 143' TERM HUP

fail() {
    echo "with_postgres.sh: $1:" >&2
    cat "$dir"/*.log >&2
    exit 1
}

(cd "$dir" && exec $as "$bin/initdb" -D "$dir/data" -U lpx -A trust -E UTF8 --locale=C --no-sync) >"$dir/initdb.log" 2>&1 ||
    fail "the server's files cannot be made"
(cd "$dir" && exec $as "$bin/postgres" -D "$dir/data" -c listen_addresses= -c unix_socket_directories="$dir" -c fsync=off \
    -c full_page_writes=off -c shared_buffers=16MB -c max_connections=60) >"$dir/server.log" 2>&1 &
server=$!
tries=600
until "$bin/pg_isready" -q -h "$dir"; do
    tries=$((tries - 1))
    kill -0 "$server" 2>/dev/null && [ "$tries" -gt 0 ] || fail "the server does not start"
    sleep 0.1
done

LPX_TEST_POSTGRES_URL="postgresql:///postgres?host=$dir&user=lpx"
export LPX_TEST_POSTGRES_URL
"$@" <&0 &
child=$!
wait "$child"
status=$?
child=
exit $status

# Each verb is one behaviour of a stage, good or bad.
IN=${IN:-/in} OUT=${OUT:-/out}

finish() {
    echo "result" >"$OUT/result.txt"
    echo "$1" >"$OUT/summary.json"
}

verb=$1
shift
case $verb in
ok)
    echo "a line on stdout"
    echo "a line on stderr" >&2
    finish "{\"rows\": 3, \"arguments\": \"$*\"}"
    ;;
version) # a copy of a registered model
    echo '{"name": "flights", "version": "3"}' >"$OUT"/version.json
    finish "{}"
    ;;
promotion) # of a version
    finish '{"name": "microstage", "production": "7", "previous": "6", "changed": true}'
    ;;
table) # of two columns
    printf 'carrier,distance\nAA,733\nB6,\n' >"$OUT/data.csv"
    finish '{"rows": 2}'
    ;;
random) # never the same twice
    finish "{\"random\": \"$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')\"}"
    ;;
count) # what it was given
    finish "{\"files\": \"$(cd "$IN" && find -L . -type f | sort | tr '\n' ' ')\"}"
    ;;
fail) # --code N; then a line on stdout that must not be taken for the reason
    echo "the reason, on row 7" >&2
    echo "noise on stdout"
    exit "$2"
    ;;
told) # to end with the code that the data of the day holds
    code=$(cat "$IN"/raw/*/code)
    if [ "$code" != 0 ]; then
        echo "told to end with $code" >&2
        exit "$code"
    fi
    finish "{\"random\": \"$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')\"}"
    ;;
raw) # data for `told`
    echo 0 >"$OUT"/code
    finish "{}"
    ;;
report) # of bad quality
    echo '{"ok": false, "problems": ["The AUC is low."]}' >"$OUT"/quality.json
    finish "{}"
    ;;
nothing) ;;
empty)
    finish "{}"
    : >"$OUT"/result.txt
    ;;
link)
    finish "{}"
    ln -s /etc/passwd "$OUT/extra"
    ;;
manifest)
    finish "{}"
    echo "{}" >"$OUT"/manifest.json
    ;;
nested)
    finish '{"rows": {"a": 1}}'
    ;;
nan)
    finish '{"auc": NaN}'
    ;;
half) # dies after it wrote everything
    finish "{}"
    exit 1
    ;;
sleep) # --seconds N
    echo "sleeping"
    sleep "$2"
    finish "{}"
    ;;
ticks) # --count N --code N; says in which container it did it
    for tick in $(seq "$2"); do
        echo "tick $tick"
        sleep 0.2
    done
    echo "the last word" >&2
    [ "${4:-0}" = 0 ] || exit "$4"
    finish "{\"host\": \"$(cat /proc/sys/kernel/hostname)\"}"
    ;;
stubborn) # does not listen to SIGTERM
    trap '' TERM
    echo "sleeping"
    sleep 60 &
    wait
    sleep 60
    ;;
dies) # and takes the days with it that are done in the same container
    [ "$OUT" != /out/2013-01-02 ] || kill -9 -1
    finish "{}"
    ;;
others) # what it sees of other days
    finish "{\"in\": \"$(ls "$IN" "$IN"/*/ | tr '\n' ' ')\"}"
    ;;
hold) # --bytes N of memory, --seconds N
    { head -c "$2" /dev/zero; sleep "$4"; } | tail -c "$2" | wc -c
    finish "{}"
    ;;
some) # --bytes N of memory
    [ "$(head -c "$2" /dev/zero | tail -c "$2" | wc -c)" = "$2" ] || exit 137
    finish "{}"
    ;;
eat)
    tail /dev/zero
    ;;
long)
    head -c 20000 /dev/zero | tr '\0' 'x'
    printf 'no newline at the end' >&2
    exit 65
    ;;
look) # at the walls, from inside
    touch /x 2>/dev/null && root=writable || root=read-only
    touch "$IN/raw/x" 2>/dev/null && in=writable || in=read-only
    touch /tmp/x 2>/dev/null && tmp=writable || tmp=read-only
    value() { sed -n "s/^$1:[[:space:]]*//p" /proc/self/status; }
    finish "{\"uid\": $(id -u), \"gid\": $(id -g), \"root\": \"$root\", \"in\": \"$in\",
        \"tmp\": \"$tmp\", \"capabilities\": \"$(value CapBnd) $(value CapEff)\",
        \"no_new_privileges\": $(value NoNewPrivs), \"interfaces\": \"$(ls /sys/class/net | tr '\n' ' ')\",
        \"threads\": \"$OMP_NUM_THREADS\", \"init\": \"$(cat /proc/1/comm)\",
        \"environment\": \"$(env | cut -d= -f1 | sort | tr '\n' ' ')\"}"
    ;;
days) # each day of days.json, a day a line there, as if it alone had been run
    sed -n 's/^ *"\([0-9-]*\)": \[\(.*\)\],*$/\1 \2/p' /in/days.json | tr -d '",' |
        while read -r day command; do
            # shellcheck disable=SC2086 # the words of a command
            IN=/in/$day OUT=/out/$day sh /stage.sh $command </dev/null >/tmp/stdout 2>/tmp/stderr
            code=$?
            sed "s/^/$day  /" /tmp/stdout
            sed "s/^/$day  /" /tmp/stderr >&2
            [ "$code" = 137 ] || # somebody has killed it
                echo "{\"code\": $code, \"last_line\": \"$(tail -n 1 /tmp/stderr)\"}" >"/out/$day.json"
        done
    ;;
*)
    echo "unknown verb $verb" >&2
    exit 64
    ;;
esac

# generate --date DAY --seconds N --long DAY --mib N --busy N: takes so long, and on that day a minute
# more. Says which second it is, and in the data which container it was; beside these is a file so
# large. Before all that it keeps a core busy, with so many MiB to digest.
set -e
trap 'exit 143' TERM
while [ $# -gt 1 ]; do
    case $1 in
    --date) date=$2 ;;
    --seconds) seconds=$2 ;;
    --long) long=$2 ;;
    --mib) mib=$2 ;;
    --busy) busy=$2 ;;
    esac
    shift
done
[ "$busy" = 0 ] || head -c "${busy}M" /dev/zero | sha256sum >/dev/null
[ "$date" != "$long" ] || seconds=$((seconds + 60))
for second in $(seq "$seconds"); do
    echo "second $second" >&2
    sleep 1 &
    wait $!
done
[ "$mib" = 0 ] || head -c "${mib}M" /dev/zero >/out/large
echo "host" >/out/data.csv
cat /proc/sys/kernel/hostname >>/out/data.csv
printf 'target\n1\n' >/out/target.csv
echo "{\"host\": \"$(cat /proc/sys/kernel/hostname)\"}" >/out/summary.json

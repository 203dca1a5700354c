# generate --seconds N: says each second which one it is, and in the data which container it was.
trap 'exit 143' TERM
while [ $# -gt 0 ]; do
    [ "$1" != --seconds ] || seconds=$2
    shift
done
for second in $(seq "$seconds"); do
    echo "second $second" >&2
    sleep 1 &
    wait $!
done
echo "host" >/out/data.csv
cat /proc/sys/kernel/hostname >>/out/data.csv
printf 'target\n1\n' >/out/target.csv
echo "{\"host\": \"$(cat /proc/sys/kernel/hostname)\"}" >/out/summary.json

#!/usr/bin/env bash
# Builds the images: every stage under containers/, and the platform's own.
#
# usage: ./build_images.sh [NAME...]     all of them, or the named ones and what they need
#        ./build_images.sh --list        what can be built
#        ./build_images.sh --help
#
# What has not changed comes from the build cache. It works without a container registry: the
# first image is then made from Debian packages, by mmdebstrap or debootstrap on this machine.
# Behind a proxy that inspects TLS, the certificates of this machine (or those in SSL_CERT_FILE)
# are handed into the build as a secret; http_proxy, https_proxy and no_proxy are passed on.
set -Eeuo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

PREFIX=${MICROSTAGE_PREFIX:-microstage}
VERSION=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
DEBIAN=$PREFIX/debian:trixie
LOG=.cache/build.log

die() { printf 'build_images.sh: %s\n' "$1" >&2; exit 1; }

# Folders with a Dockerfile are the list; there is no other.
list() { local file; for file in "$1"/*/Dockerfile; do basename "$(dirname "$file")"; done; }
stages() { list containers; }
platform() { list containers/platform | grep -vx base; }

ca_bundle() {
  local file
  for file in "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt \
    /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem; do
    if [ -s "$file" ]; then printf '%s\n' "$file"; return; fi
  done
  die "found no certificate bundle here; install ca-certificates, or set SSL_CERT_FILE"
}

# The one image that does not come from a Dockerfile: Debian itself.
make_debian() {
  if docker image inspect "$DEBIAN" >/dev/null 2>&1; then return; fi
  if timeout 60 docker pull --quiet debian:trixie-slim >/dev/null 2>&1; then
    docker tag debian:trixie-slim "$DEBIAN"
    return
  fi
  echo "No container registry in reach: $DEBIAN is made from Debian packages"
  local work
  work=$(mktemp -d)
  if command -v mmdebstrap >/dev/null; then
    mmdebstrap --quiet --variant=essential --include=apt,ca-certificates trixie "$work/debian.tar"
  elif command -v debootstrap >/dev/null && [ "$(id -u)" = 0 ]; then
    debootstrap --variant=minbase --include=ca-certificates trixie "$work/debian" >/dev/null
    tar -C "$work/debian" -cf "$work/debian.tar" .
  else
    die "no container registry in reach and no mmdebstrap here; run: apt-get install mmdebstrap"
  fi
  docker import "$work/debian.tar" "$DEBIAN" >/dev/null
  rm -rf "$work"
}

ids() { docker image inspect --format '{{.Id}}' "$PREFIX/$1:$VERSION" 2>/dev/null || echo none; }

# The seconds of an image are those of its own steps, as BuildKit reports them.
seconds() {
  awk -v name="$1" '
    $2 ~ /^\[/ { target[$1] = substr($2, 2); sub(/\]$/, "", target[$1]) }
    $2 == "DONE" && target[$1] == name { sum += $3 }
    END { printf "%.1f", sum }' "$LOG"
}

case "${1:-}" in
  -h | --help) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"; exit ;;
  --list) stages | sed 's/^/stage     /'; platform | sed 's/^/platform  /'; exit ;;
  -*) die "unknown option '$1'; see ./build_images.sh --help" ;;
esac
mapfile -t known < <(stages; platform)
names=("${@:-${known[@]}}")
if [ $# -eq 0 ]; then names=("${known[@]}"); fi
for name in "${names[@]}"; do
  printf '%s\n' "${known[@]}" | grep -qx -- "$name" ||
    die "there is no image '$name'; there are: ${known[*]}"
done
docker version >/dev/null 2>&1 || die "no Docker Engine answers; start it, or run scripts/install_engine"
docker buildx version >/dev/null 2>&1 || die "this Docker has no buildx; install docker-buildx"

make_debian
mkdir -p .cache
before=()
for name in "${names[@]}"; do before+=("$(ids "$name")"); done
export PREFIX VERSION CA_BUNDLE STAGES
CA_BUNDLE=$(ca_bundle)
STAGES=$(stages | paste -sd,)
docker buildx bake --progress plain --file docker-bake.hcl "${names[@]}" 2>&1 | tee "$LOG" |
  sed -nu 's/^#[0-9]* \[\(.* [0-9]*\/[0-9]*\)\] \(.\{0,80\}\).*/  \1  \2/p' ||
  { tail -40 "$LOG" >&2; die "the build failed; its whole log is in $LOG"; }

printf '\n%-12s %-28s %8s %8s  %s\n' image tag MB seconds changed
for i in "${!names[@]}"; do
  name=${names[$i]} tag=$PREFIX/${names[$i]}:$VERSION
  size=$(docker image inspect --format '{{.Size}}' "$tag")
  if [ "${before[$i]}" = "$(ids "$name")" ]; then changed=no; else changed=yes; fi
  printf '%-12s %-28s %6d.%d %8s  %s\n' "$name" "$tag" $((size / 1000000)) \
    $((size / 100000 % 10)) "$(seconds "$name")" "$changed"
done

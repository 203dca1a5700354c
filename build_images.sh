#!/usr/bin/env bash
# Builds the images: every stage under containers/, and the platform's own.
#
# usage: ./build_images.sh [NAME...]     all of them, or the named ones and what they need
#        ./build_images.sh --debug NAME...            stages with a shell and their libraries' sources
#        ./build_images.sh --push REGISTRY [NAME...]  build, then push to REGISTRY/microstage/NAME
#        ./build_images.sh --platform linux/arm64[,linux/amd64] [--push REGISTRY] [NAME...]
#                                        stages for other processors; pushed, all under one tag
#        ./build_images.sh --no-cache [NAME...]       anew, with Debian's newest updates
#        ./build_images.sh --from REGISTRY [--lock FILE] [NAME...]  take those of a release, by the
#                                        digests in FILE (images.lock), and build what does not fit
#        ./build_images.sh --list        what can be built
#        ./build_images.sh --help
#
# A debug image is VERSION-debug beside the real one, for people to look inside:
#   docker run --rm -it --entrypoint sh microstage/train:1.0.0-debug
# The platform refuses to run it as a stage. An image for another processor is VERSION-arm64.
#
# What has not changed comes from the build cache. It works without a container registry: the
# first image is then made from Debian packages, by mmdebstrap or debootstrap on this machine.
# An installation's settings and secrets, .env and .secrets, are made by scripts/make_env, and get
# what they lack.
# Behind a proxy that inspects TLS, the certificates of this machine (or those in SSL_CERT_FILE)
# are handed into the build as a secret; http_proxy, https_proxy and no_proxy are passed on.
set -Eeuo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

PREFIX=${MICROSTAGE_PREFIX:-microstage}
VERSION=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
DEBIAN=$PREFIX/debian:trixie
LOG=.cache/build.log
RELEASED="Debian of a release" # in recipes, in place of this machine's
SHARED=(containers/platform/{base,finish,lister}) # what is under, and in, every image

is_registry() { [[ $1 =~ ^[^-:/]+(:[0-9]+)?(/[^:]+)?$ ]]; }
die() { printf 'build_images.sh: %s\n' "$1" >&2; exit "${2:-1}"; }

# Folders with a Dockerfile are the list; there is no other.
list() { local file; for file in "$1"/*/Dockerfile; do basename "$(dirname "$file")"; done; }
stages() { list containers; }
platform() { list containers/platform | grep -vxE 'base|finish|lister'; }
folder() { if [ -d "containers/$1" ]; then echo "containers/$1"; else echo "containers/platform/$1"; fi; }

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

# What an image is made from besides Debian: its folder, what is under all, and what it copies of the
# platform.
sources() {
  printf '%s\n' "$(folder "$1")" "${SHARED[@]}"
  if grep -q -e '--from=microstage' "$(folder "$1")/Dockerfile"; then echo dags/microstage; fi
}

# The commit in an image's label is the last one that changed what it is made
# from, so that no other commit makes a new image. What is not committed yet says so: "-dirty", as
# git describe does. Without git there is no label.
revision() {
  local commit paths
  mapfile -t paths < <(sources "$1")
  commit=$(git log -1 --format=%H -- "${paths[@]}" 2>/dev/null) || return 0
  if [ -n "$commit" ] && [ -n "$(git status --porcelain -- "${paths[@]}")" ]; then commit+=-dirty; fi
  printf %s "$commit"
}

# recipe NAME [DEBIAN]: all that an image is made from, in one word. BuildKit finds out the same by
# itself, but takes 0.1 s an image for it; with this, nothing to do costs half a second however many
# images there are.
recipe() {
  local files paths
  mapfile -t paths < <(sources "$1")
  # What Python and linters leave beside sources gets into no image.
  mapfile -t -d '' files < <(find "${paths[@]}" docker-bake.hcl \
    \( -name __pycache__ -o -name .cache \) -prune -o -type f -print0 | sort -z)
  { stat --format '%n %a' "${files[@]}"
    cat "${files[@]}"
    printf '%s\n' "$VERSION" "${SOURCE_DATE_EPOCH:-}" "${2-$debian}" "${commits[$1]:-}"
  } | sha256sum | cut -c-64
}

# Prints tag, id and size of those images that are there, in one call: each costs 30 ms.
inspect() {
  docker image inspect --format '{{range .RepoTags}}{{println . $.Id $.Size}}{{end}}' "$@" 2>/dev/null || true
}

header() { printf '\n%-14s %-34s %8s %8s  %s\n' image tag MB seconds changed; }

# line NAME TAG SIZE SECONDS CHANGED
line() { printf '%-14s %-34s %6d.%d %8s  %s\n' "$1" "$2" $(($3 / 1000000)) $(($3 / 100000 % 10)) "$4" "$5"; }

# The seconds of an image are those of its own steps, as BuildKit reports them.
seconds() {
  awk -v name="$1" '
    $2 ~ /^\[/ { target[$1] = substr($2, 2); sub(/\]$/, "", target[$1]); sub(/-contents/, "", target[$1]) }
    $2 == "DONE" && target[$1] == name { sum += $3 }
    END { printf "%.1f", sum }' "$LOG"
}

# bake TARGET...
bake() {
  docker buildx bake --progress plain ${fresh:+--no-cache} --file docker-bake.hcl "$@" 2>&1 |
    tee -a "$LOG" | sed -nu 's/^#[0-9]* \[\(.* [0-9]*\/[0-9]*\)\] \(.\{0,80\}\).*/  \1  \2/p' ||
    { tail -40 "$LOG" >&2; die "the build failed; its whole log is in $LOG"; }
}

# Where an engine has its images in containerd, one is gone as soon as its name is built anew, though
# it has made what is there still: https://github.com/moby/moby/issues/48907. Elsewhere it stays without
# a name. In either case scripts/maintain removes it when nothing needs it any more.
keep() {
  store=${store:-$(docker info --format '{{.DriverStatus}}')}
  if [[ "$store" == *containerd* ]]; then docker tag "$1" "$PREFIX/before:${1:7:12}"; fi
}

# build ARCH, which is empty for the processor of this machine
build() {
  local name tag id size changed built released suffix=${1:+-$1}$debug tags=() todo=()
  export ARCH=$1
  declare -A before=() recipes=()
  for name in base "${names[@]}"; do tags+=("$PREFIX/$name:$VERSION$suffix"); done
  while read -r tag id _; do before[${tag:-none}]=$id; done < <(inspect "${tags[@]}")
  for name in base "${names[@]}"; do
    tag=$PREFIX/$name:$VERSION$suffix
    recipes[$tag]=$(recipe "$name")
    built=$(cat ".cache/built/$tag" 2>/dev/null) || built=''
    if [ -z "$fresh" ] && [ "$built" != "${recipes[$tag]} ${before[$tag]:-}" ]; then
      # One of a release stays for as long as it would be made from the same, on whichever Debian.
      released=$(recipe "$name" "$RELEASED")
      if [ "$built" = "$released ${before[$tag]:-}" ]; then recipes[$tag]=$released; fi
    fi
    if [ -n "$fresh" ] || [ "$built" != "${recipes[$tag]} ${before[$tag]:-}" ]; then
      todo+=("$name$debug")
      if [ -n "${before[$tag]:-}" ]; then keep "${before[$tag]}"; fi
    fi
  done
  : >"$LOG"
  # First and by itself: see "base" in docker-bake.hcl.
  if [ "${todo[0]:-}" = "base$debug" ]; then bake "base$debug"; todo=("${todo[@]:1}"); fi
  if [ ${#todo[@]} -gt 0 ]; then bake "${todo[@]}"; fi

  header
  inspect "${tags[@]}" | sort | while read -r tag id size; do
    if [ -z "${recipes[${tag:-none}]:-}" ]; then continue; fi
    echo "${recipes[$tag]} $id" >".cache/built/$tag"
    name=${tag#"$PREFIX/"} name=${name%%:*}
    if [ "$name" = base ]; then continue; fi
    if [ "${before[$tag]:-}" = "$id" ]; then changed=no; else changed=yes; fi
    line "$name" "$tag" "$size" "$(seconds "$name$debug")" "$changed"
  done
}

# Takes the images of a release that are of what is here, and leaves in names what is to be built.
take() {
  local name id size image tag before changed taken left=() wanted=()
  for name in "${names[@]}"; do wanted+=("$name=${commits[$name]}"); done
  taken=$(scripts/release_images take "$1" --lock "$2" "${wanted[@]}") || exit
  header
  for name in "${names[@]}"; do
    read -r id size image < <(sed -n "s/^$name //p" <<<"$taken") || { left+=("$name"); continue; }
    tag=$PREFIX/$name:$VERSION changed=no
    read -r _ before _ < <(inspect "$tag" | sed -n "\|^$tag |p") || before=''
    if [ "$before" != "$id" ]; then
      changed=yes
      if [ -n "$before" ]; then keep "$before"; fi
      docker tag "$image" "$tag"
    fi
    docker rmi "$image" >/dev/null # the name that it was pulled by; it has its own now
    echo "$(recipe "$name" "$RELEASED") $id" >".cache/built/$tag"
    line "$name" "$tag" "$size" 0.0 "$changed"
  done
  names=("${left[@]}")
}

# push LOCAL REMOTE
push() {
  docker tag "$1" "$2"
  docker push --quiet "$2" || die "could not push $2; is the registry there, and did you docker login?"
}

debug='' fresh='' registry='' from='' lock='' arches=() names=()
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"; exit ;;
    --list) stages | sed 's/^/stage     /'; platform | sed 's/^/platform  /'; exit ;;
    --debug) debug=-debug ;;
    --no-cache) fresh=yes ;;
    --push)
      registry=${2:-}
      is_registry "$registry" ||
        die "--push wants a registry without https://, such as registry.example.org/team" 64
      shift ;;
    --from)
      from=${2:-}
      is_registry "$from" || die "--from wants a registry without https://, such as registry.example.org/team" 64
      shift ;;
    --lock)
      lock=${2:-}
      [ -f "$lock" ] || die "there is no file '$lock'; --lock wants the images.lock of a release" 66
      shift ;;
    --platform)
      IFS=, read -ra arches <<<"${2:-}"
      for arch in "${arches[@]:-none}"; do
        [[ $arch =~ ^linux/(amd64|arm64)$ ]] || die "--platform knows linux/amd64 and linux/arm64" 64
      done
      arches=("${arches[@]#linux/}")
      shift ;;
    -*) die "unknown option '$1'; see ./build_images.sh --help" 64 ;;
    *) names+=("$1") ;;
  esac
  shift
done
mapfile -t known < <(stages; platform)
for name in "${names[@]}"; do
  grep -qxF -- "$name" <<<"$(printf '%s\n' "${known[@]}")" ||
    die "there is no image '$name'; there are: ${known[*]}" 64
  if [ -n "$debug${arches[*]}" ] && [ ! -d "containers/$name" ]; then
    die "--debug and --platform are for stages; $name is part of the platform" 64
  fi
done
if [ -n "$debug" ] && [ -n "$registry${arches[*]}" ]; then
  die "--debug stays on this machine; leave out --push and --platform" 64
fi
if [ -n "$from" ] && [ -n "$debug$fresh${arches[*]}" ]; then
  die "--from takes images as they are; leave out --debug, --no-cache and --platform" 64
fi
if [ -n "$lock" ] && [ -z "$from" ]; then die "--lock says what to take; say from where: --from REGISTRY" 64; fi
if [ ${#names[@]} -eq 0 ]; then
  if [ -n "$debug${arches[*]}" ]; then mapfile -t names < <(stages); else names=("${known[@]}"); fi
fi
native=$(docker version --format '{{.Server.Arch}}' 2>/dev/null) ||
  die "no Docker Engine answers; start it, or run scripts/install_engine"
docker buildx version >/dev/null 2>&1 || die "this Docker has no buildx; install docker-buildx"

# docker compose reads .env and .secrets: with the images there, it needs nothing else. What is of
# an older version gets the settings that are new.
scripts/make_env
mkdir -p ".cache/built/$PREFIX"
# An attestation has a time in it, and where images are in containerd it is part of their ids: each
# build would have another one. https://docs.docker.com/build/metadata/attestations/
export BUILDX_NO_DEFAULT_ATTESTATIONS=1
export PREFIX VERSION CA_BUNDLE STAGES PLATFORM REVISIONS=''
CA_BUNDLE=$(ca_bundle)
STAGES=$(stages | paste -sd,)
PLATFORM=$(platform | paste -sd,)
declare -A commits=()
for name in "${names[@]}"; do
  commits[$name]=$(revision "$name")
  REVISIONS+="$name=${commits[$name]} "
done

all=("${names[@]}")
if [ -n "$from" ]; then take "$from" "${lock:-images.lock}"; fi
if [ ${#names[@]} -gt 0 ]; then
  make_debian
  debian=$(docker image inspect --format '{{.Id}}' "$DEBIAN")
fi
if [ ${#arches[@]} -eq 0 ]; then
  if [ ${#names[@]} -gt 0 ]; then build ''; fi
  if [ -n "$registry" ]; then
    for name in "${all[@]}"; do push "$PREFIX/$name:$VERSION" "$registry/$PREFIX/$name:$VERSION"; done
  fi
  exit
fi
for arch in "${arches[@]}"; do build "${arch#"$native"}"; done
if [ -n "$registry" ]; then
  for name in "${names[@]}"; do
    remotes=()
    for arch in "${arches[@]}"; do
      remote=$registry/$PREFIX/$name:$VERSION-$arch
      if [ "$arch" = "$native" ]; then push "$PREFIX/$name:$VERSION" "$remote"
      else push "$PREFIX/$name:$VERSION-$arch" "$remote"; fi
      remotes+=("$remote")
    done
    # One name for all of them; each machine that pulls it gets its own.
    docker buildx imagetools create --tag "$registry/$PREFIX/$name:$VERSION" "${remotes[@]}" ||
      die "could not put ${remotes[*]} under one name"
  done
fi

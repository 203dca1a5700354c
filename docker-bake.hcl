# What is built, and from what. Call it through ./build_images.sh, which fills in the variables.

variable "VERSION" {}                             # the images' tag; said once, in pyproject.toml
variable "STAGES" {}                              # every folder under containers/, by comma
variable "PLATFORM" {}                            # likewise under containers/platform/
variable "PREFIX" { default = "microstage" }      # the first part of the images' names
variable "CA_BUNDLE" {}                           # the host's certificates: a proxy may sign with its own
variable "REVISIONS" { default = "" }             # "train=the commit that last changed it ..."
variable "ARCH" { default = "" }                  # the processor to build for, if not that of here
variable "SOURCE_DATE_EPOCH" { default = "1767225600" } # 2026-01-01, the age of every file

variable "http_proxy" { default = "" }
variable "https_proxy" { default = "" }
variable "no_proxy" { default = "" }

target "_common" {
  secret = ["id=ca_bundle,src=${CA_BUNDLE}"]
  args = {
    SOURCE_DATE_EPOCH = SOURCE_DATE_EPOCH
    http_proxy        = http_proxy
    https_proxy       = https_proxy
    no_proxy          = no_proxy
  }
}

# The licence is that of what this repository adds; each package's own is in the list of contents.
# Without git there is no revision, and no label that claims one.
function "labels" {
  params = [name]
  result = merge({
    "org.opencontainers.image.title"    = name
    "org.opencontainers.image.version"  = VERSION
    "org.opencontainers.image.vendor"   = "Microstage"
    "org.opencontainers.image.licenses" = "Apache-2.0"
  }, { for commit in regexall("(?:^| )${name}=([^ ]+)", REVISIONS) :
    "org.opencontainers.image.revision" => commit[0] })
}

# --- under every image; "-debug": with the sources of the libraries ------------------------------

target "builder" {
  inherits = ["_common"]
  name     = "builder${kind}"
  matrix   = { kind = ["", "-debug"] }
  context  = "containers/platform/base"
  target   = "builder"
  tags     = kind == "" && ARCH == "" ? ["${PREFIX}/builder:${VERSION}"] : []
  contexts = { debian = "docker-image://${PREFIX}/debian:trixie" }
  args     = { MICROSTAGE_ARCH = ARCH, MICROSTAGE_DEBUG = kind == "" ? "" : "yes" }
}

# The stages start from this image in the engine, not from the target: on a target that was built
# anew, to the same bytes, the engine writes the layers above it in another order of files, and their
# ids change. https://github.com/moby/moby/blob/v26.1.5/builder/builder-next/adapters/snapshot/layer.go
target "base" {
  inherits  = ["_common"]
  name      = "base${kind}"
  matrix    = { kind = ["", "-debug"] }
  context   = "containers/platform/base"
  target    = "base"
  platforms = ARCH == "" ? [] : ["linux/${ARCH}"]
  tags      = ["${PREFIX}/base:${VERSION}${ARCH == "" ? "" : "-${ARCH}"}${kind}"]
  contexts  = { debian = "docker-image://${PREFIX}/debian:trixie" }
  args      = { MICROSTAGE_ARCH = ARCH, MICROSTAGE_DEBUG = kind == "" ? "" : "yes" }
}

# --- what each Dockerfile makes ------------------------------------------------------------------

target "contents" {
  inherits  = ["_common"]
  name      = "${image}-contents${kind}"
  matrix    = { image = split(",", "${STAGES},${PLATFORM}"), kind = ["", "-debug"] }
  context   = "containers/${contains(split(",", PLATFORM), image) ? "platform/" : ""}${image}"
  platforms = ARCH == "" ? [] : ["linux/${ARCH}"]
  contexts = {
    base       = "docker-image://${PREFIX}/base:${VERSION}${ARCH == "" ? "" : "-${ARCH}"}${kind}"
    builder    = "target:builder${kind}"
    debian     = "docker-image://${PREFIX}/debian:trixie"
    microstage = "dags/microstage" # the guard has a copy of what reads the table
    registry   = "containers/registry" # serve has a copy of what runs a version's code
  }
}

target "lister" {
  inherits = ["_common"]
  context  = "containers/platform/lister"
  contexts = { builder = "target:builder" }
}

# --- the images: with the list of what is in them, and labels ------------------------------------

target "image" {
  inherits  = ["_common"]
  name      = "${image}${kind}"
  matrix    = { image = split(",", "${STAGES},${PLATFORM}"), kind = ["", "-debug"] }
  context   = "containers/platform/finish"
  target    = kind == "" ? "finished" : "debug"
  platforms = ARCH == "" ? [] : ["linux/${ARCH}"]
  contexts  = { image = "target:${image}-contents${kind}", lister = "target:lister" }
  tags      = ["${PREFIX}/${image}:${VERSION}${ARCH == "" ? "" : "-${ARCH}"}${kind}"]
  labels    = labels(image)
}

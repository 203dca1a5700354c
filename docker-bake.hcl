# What is built, and from what. Call it through ./build_images.sh, which fills in the variables.

variable "VERSION" {}                             # the images' tag; said once, in pyproject.toml
variable "STAGES" {}                              # every folder under containers/, by comma
variable "PREFIX" { default = "microstage" }      # the first part of the images' names
variable "CA_BUNDLE" {}                           # the host's certificates: a proxy may sign with its own
variable "SOURCE_DATE_EPOCH" { default = "1767225600" } # 2026-01-01, the age of every file

variable "http_proxy" { default = "" }
variable "https_proxy" { default = "" }
variable "no_proxy" { default = "" }

group "default" {
  targets = ["stage", "airflow", "postgres"]
}

target "_common" {
  secret = ["id=ca_bundle,src=${CA_BUNDLE}"]
  args = {
    SOURCE_DATE_EPOCH = SOURCE_DATE_EPOCH
    http_proxy        = http_proxy
    https_proxy       = https_proxy
    no_proxy          = no_proxy
  }
}

function "labels" {
  params = [name]
  result = {
    "org.opencontainers.image.title"    = name
    "org.opencontainers.image.version"  = VERSION
    "org.opencontainers.image.vendor"   = "Microstage"
    "org.opencontainers.image.licenses" = "Apache-2.0"
  }
}

# --- under every image -------------------------------------------------------------------------

target "builder" {
  inherits = ["_common"]
  context  = "containers/platform/base"
  target   = "builder"
  tags     = ["${PREFIX}/builder:${VERSION}"]
  contexts = { debian = "docker-image://${PREFIX}/debian:trixie" }
}

target "base" {
  inherits = ["_common"]
  context  = "containers/platform/base"
  target   = "base"
  tags     = ["${PREFIX}/base:${VERSION}"]
  contexts = { debian = "docker-image://${PREFIX}/debian:trixie" }
}

# --- one image a stage -------------------------------------------------------------------------

target "stage" {
  inherits = ["_common"]
  name     = stage
  matrix   = { stage = split(",", STAGES) }
  context  = "containers/${stage}"
  contexts = { base = "target:base", builder = "target:builder" }
  tags     = ["${PREFIX}/${stage}:${VERSION}"]
  labels   = labels(stage)
}

# --- the platform around them ------------------------------------------------------------------

target "airflow" {
  inherits = ["_common"]
  context  = "containers/platform/airflow"
  contexts = { builder = "target:builder", debian = "docker-image://${PREFIX}/debian:trixie" }
  tags     = ["${PREFIX}/airflow:${VERSION}"]
  labels   = labels("airflow")
}

target "postgres" {
  inherits = ["_common"]
  context  = "containers/platform/postgres"
  contexts = { debian = "docker-image://${PREFIX}/debian:trixie" }
  tags     = ["${PREFIX}/postgres:${VERSION}"]
  labels   = labels("postgres")
}

# syntax=docker/dockerfile:1
# The API: the components of spin.toml, and Spin to run them.
#   docker build -f infra/images/api.Dockerfile -t short-link-api .
# Needs /tmp to be writable; the rest of the file system may be read-only. Variables: SPIN_VARIABLE_<NAME>, see docs/configuration.md.

# The same as in rust-toolchain.toml; infra/check-manifests compares them.
ARG RUST_VERSION=1.95.0
# WASI 0.3 needs Spin 4.1 or newer.
ARG SPIN_VERSION=v4.1.0

# Components run on every platform, so they are built on the one that builds.
FROM --platform=$BUILDPLATFORM docker.io/library/rust:${RUST_VERSION}-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN rustup target add wasm32-wasip2
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --locked --profile component --target wasm32-wasip2 \
        -p shortlink-create -p shortlink-resolve -p shortlink-manage -p shortlink-health \
    && install -D -m 0444 -t /app/target/wasm32-wasip2/component target/wasm32-wasip2/component/shortlink_*.wasm \
    && install -m 0444 spin.toml infra/images/runtime-config.toml /app/

FROM ghcr.io/spinframework/spin:${SPIN_VERSION}
COPY --from=build /app /app
WORKDIR /app
# Spin's caches and its working directory.
ENV HOME=/tmp XDG_CACHE_HOME=/tmp/cache TMPDIR=/tmp
USER 65532:65532
EXPOSE 8000
ENTRYPOINT ["/usr/local/bin/spin", "up", "--from", "/app/spin.toml", "--runtime-config-file", "/app/runtime-config.toml"]
# An instance serves 2048 requests, not 128: each has connections and a memory of hot links of its own. Those of create end
# by themselves before that.
CMD ["--listen", "0.0.0.0:8000", "--disable-cache", "--max-instance-reuse-count", "2048"]

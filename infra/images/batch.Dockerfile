# syntax=docker/dockerfile:1
# shortlink-batch: one static binary, and the certificate authorities that it trusts.
#   docker build -f infra/images/batch.Dockerfile -t short-link-batch .

ARG RUST_VERSION=1.95.0

FROM docker.io/library/rust:${RUST_VERSION}-slim-bookworm AS build
# A C compiler for musl: one of the libraries has parts in C.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends musl-tools \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN rustup target add "$(uname -m)-unknown-linux-musl"
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    target="$(uname -m)-unknown-linux-musl" \
    && cargo build --locked --release --target "$target" -p shortlink-batch \
    && install -m 0555 "target/$target/release/shortlink-batch" /shortlink-batch

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /shortlink-batch /shortlink-batch
USER 65532:65532
EXPOSE 9187
ENTRYPOINT ["/shortlink-batch"]
CMD ["run"]

# Tollgate as an image. From this folder:
#
#   docker build -t tollgate .
#   docker run --rm -p 127.0.0.1:8080:8080 tollgate demo --listen 0.0.0.0:8080
#
#   docker run -d --name tollgate -p 127.0.0.1:8080:8080 -v tollgate:/data --stop-timeout 75 \
#     -e MODELVERSE_API_KEY -e TOLLGATE_EXAMPLE_KEY -e TOLLGATE_ADMIN_TOKEN tollgate
#   docker exec tollgate tollgate wallet show
#
# The last step needs nothing of its base but the C library, so any base with glibc 2.36 or later and
# libgcc will do: `--build-arg BASE_IMAGE=...` with a distroless `cc` image is the smallest.
ARG RUST_IMAGE=rust:1.95.0-slim-bookworm
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${RUST_IMAGE} AS build
WORKDIR /src
# Symbols stay, for readable panics; line tables would double the binary.
ENV CARGO_PROFILE_RELEASE_DEBUG=false CARGO_PROFILE_RELEASE_STRIP=debuginfo
# Cargo features, separated by commas: `--build-arg FEATURES=otel` adds OpenTelemetry traces.
ARG FEATURES=""

# A layer of all dependencies, which changes with Cargo.lock only.
COPY Cargo.toml Cargo.lock ./
COPY .cargo/config.toml .cargo/
COPY bench/Cargo.toml bench/
RUN mkdir src \
    && echo 'fn main() {}' > src/main.rs \
    && touch src/lib.rs \
    && cargo build --release --locked --bin tollgate --features "${FEATURES}"

COPY config.yaml ./
COPY src src
# What was copied may be older than what the layer above has built.
RUN touch src/main.rs src/lib.rs \
    && cargo build --release --locked --bin tollgate --features "${FEATURES}" \
    && install -d -m 0700 /image/data

FROM ${BASE_IMAGE}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="Tollgate" \
      org.opencontainers.image.description="An OpenAI-compatible metering reverse proxy" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY LICENSE-MIT LICENSE-APACHE /usr/share/doc/tollgate/
COPY config.yaml /etc/tollgate/
# The ledger's folder, which belongs to the user below.
COPY --from=build --chown=10001:10001 /image/ /
COPY --from=build /src/target/release/tollgate /usr/local/bin/
# The shipped config names its ledger as data/tollgate.db.
WORKDIR /
ENV TOLLGATE_CONFIG=/etc/tollgate/config.yaml TOLLGATE_LISTEN=0.0.0.0:8080
# Whom the health check asks, whatever becomes of the config meanwhile. With `server.tls` or another port,
# set it to match (https://127.0.0.1:8443).
ENV TOLLGATE_HEALTH_URL=http://127.0.0.1:8080
USER 10001:10001
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["tollgate", "health"]
ENTRYPOINT ["tollgate"]
CMD ["serve"]

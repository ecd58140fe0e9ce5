# syntax=docker/dockerfile:1
# The waiting room in one image, with its store inside: docker run -p 8080:8080 -v wr:/data wr

ARG PYTHON=3.11
ARG DRAGONFLY=v1.40.2

FROM docker.dragonflydb.io/dragonflydb/dragonfly:${DRAGONFLY} AS dragonfly

FROM python:${PYTHON}-slim-bookworm AS build
WORKDIR /src
# Before the code: as long as what is locked stays the same, so does this layer.
COPY scripts/image/requirements.lock scripts/wheel.lock ./
RUN python -m venv /opt/wr \
 && /opt/wr/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock \
 && python -m venv /opt/wheel \
 && /opt/wheel/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r wheel.lock
# The vendoring script works with the environment of a checkout.
RUN ln -s /opt/wr .venv
COPY . .
RUN ./scripts/vendor \
 && /opt/wheel/bin/pip wheel --no-cache-dir --disable-pip-version-check --no-build-isolation --no-deps \
    --wheel-dir made . \
 && /opt/wr/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-index made/wr-*.whl \
 && /opt/wr/bin/python -m pip uninstall --yes --quiet pip setuptools

FROM python:${PYTHON}-slim-bookworm
LABEL org.opencontainers.image.title="wr" \
      org.opencontainers.image.description="A virtual waiting room: holds a crowd in front of a site and lets people in at a rate the site can bear." \
      org.opencontainers.image.licenses="MIT"
# The user is a number, which needs no account; a new volume takes over the owner of the folder that it covers.
RUN install -d -m 0700 -o 10001 -g 10001 /data
COPY --from=dragonfly /usr/local/bin/dragonfly /usr/local/bin/dragonfly
COPY --from=build /opt/wr /opt/wr
# Not every image's binary runs in every other: better that the build finds out than the first start.
RUN dragonfly --version
# Docker gives 10 seconds from the signal to the kill: requests under way and the last events share 5, the store has
# the rest.
ENV PATH=/opt/wr/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    WR_BIND=0.0.0.0 \
    WR_DATA_DIR=/data \
    WR_GRACE=5
# No WORKDIR /data: whoever may not enter a volume is to be told so by the server.
USER 10001:10001
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
# It takes half a second of a processor. No --start-interval: Podman before 2024 does not build with it.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 CMD ["wr", "health"]
ENTRYPOINT ["wr"]
CMD ["serve"]

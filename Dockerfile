# syntax=docker/dockerfile:1
# The waiting room and its store in one image: docker run -p 8080:8080 -v wr:/data wr

ARG PYTHON=3.11
ARG DRAGONFLY=v1.40.2

FROM docker.dragonflydb.io/dragonflydb/dragonfly:${DRAGONFLY} AS dragonfly

FROM python:${PYTHON}-slim-bookworm AS build
WORKDIR /src
# Before the code is copied: while the lock files do not change, the builder reuses this layer.
COPY scripts/image/requirements.lock scripts/wheel.lock ./
RUN python -m venv /opt/wr \
 && /opt/wr/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock \
 && python -m venv /opt/wheel \
 && /opt/wheel/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r wheel.lock
# The vendoring script expects the environment at .venv, as in a checkout.
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
# A numeric user needs no account. A new volume takes the owner of the folder on which it is mounted.
RUN install -d -m 0700 -o 10001 -g 10001 /data
COPY --from=dragonfly /usr/local/bin/dragonfly /usr/local/bin/dragonfly
COPY --from=build /opt/wr /opt/wr
# A binary from another image may not run here. This makes the build fail, not the first start.
RUN dragonfly --version
# Docker kills a container 10 seconds after the stop signal. Open requests and the last events share 5 of them; the
# store uses the rest to stop.
ENV PATH=/opt/wr/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    WR_BIND=0.0.0.0 \
    WR_DATA_DIR=/data \
    WR_GRACE=5
# No WORKDIR /data: if the user may not enter the volume, the server reports it in its log.
USER 10001:10001
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
# A check takes half a second of processor time. No --start-interval: Podman before 2024 cannot build with it.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 CMD ["wr", "health"]
ENTRYPOINT ["wr"]
CMD ["serve"]

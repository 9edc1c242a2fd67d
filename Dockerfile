# The hub as an image. docs/deployment.md says how to run it.
# BASE is any Debian or Ubuntu with Python 3.11 or later: docker build --build-arg BASE=... .
ARG BASE=docker.io/library/debian:trixie-slim

FROM ${BASE} AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3-venv
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY server server
COPY client client
COPY frontend frontend
RUN python3 -m venv /opt/tocsin \
    && /opt/tocsin/bin/pip install --no-cache-dir ".[client,jwt,redis]" \
    && /opt/tocsin/bin/pip uninstall --yes pip

FROM ${BASE}
# The user has a number, so that Kubernetes can see that it isn't root.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/* \
    && groupadd --gid 10001 tocsin \
    && useradd --uid 10001 --gid tocsin --no-create-home --home-dir /data --shell /usr/sbin/nologin tocsin \
    && install --directory --owner tocsin --group tocsin --mode 700 /data
COPY --from=build /opt/tocsin /opt/tocsin

# In a container "this machine only" would be the container alone, so the hub listens on every address. It starts there
# with keys or tokens (TOCSIN_KEYS, ...), or with TOCSIN_INSECURE=true. Metrics and health have a port of their own, which
# needs no publishing: it stays plain where the hub's has TLS.
ENV PATH=/opt/tocsin/bin:$PATH \
    TOCSIN_HOST=0.0.0.0 \
    TOCSIN_METRICS_LISTEN=0.0.0.0:9300 \
    TOCSIN_JOURNAL=sqlite:/data/journal.db \
    TOCSIN_LOG_FORMAT=json
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 3000 9300
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9300/healthz', timeout=4)"]
ENTRYPOINT ["tocsin"]
CMD ["serve"]
